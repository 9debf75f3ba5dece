#include "cost/robust.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "model/base/check.h"

namespace rehearse {
namespace {

std::vector<double> distances(std::span<const double> values, double from) {
  std::vector<double> all;
  for (const double value : values)
    all.push_back(std::abs(value - from));
  return all;
}

double deviation_about(std::span<const double> values, std::span<const double> weights,
                       double center) {
  constexpr double kNormal = 1.4826;
  return kNormal * weighted_median(distances(values, center), weights);
}

}  // namespace

double weighted_median(std::span<const double> values, std::span<const double> weights) {
  REHEARSE_CHECK(!values.empty() && values.size() == weights.size(), "{} values, {} weights",
                 values.size(), weights.size());
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  const double half = 0.5 * std::accumulate(weights.begin(), weights.end(), 0.0);
  double below = 0;
  for (const std::size_t i : order) {
    below += weights[i];
    if (below >= half) return values[i];
  }
  return values[order.back()];
}

double robust_deviation(std::span<const double> values, std::span<const double> weights) {
  const std::vector<double> equal(values.size(), 1.0);
  return std::max(deviation_about(values, weights, weighted_median(values, weights)),
                  deviation_about(values, equal, weighted_median(values, equal)));
}

// Of the sorted weights the k largest are cut to c, with c = share (k c + the others' sum).
std::vector<double> limited(std::vector<double> weights) {
  constexpr double kMostOfMean = 2, kMostOfAll = 0.3;
  const auto n = static_cast<double>(weights.size());
  const double share = std::max(std::min(kMostOfMean / n, kMostOfAll), 1 / n);
  std::vector<double> falling = weights;
  std::sort(falling.begin(), falling.end(), std::greater<>());
  double others = std::accumulate(falling.begin(), falling.end(), 0.0);
  double most = std::numeric_limits<double>::infinity();
  for (std::size_t k = 0; k < falling.size(); ++k) {
    const double cut = 1 - share * static_cast<double>(k);
    if (cut <= 0) break;
    most = share * others / cut;
    if (falling[k] <= most) break;
    others -= falling[k];
  }
  for (double& weight : weights)
    weight = std::min(weight, most);
  return weights;
}

std::vector<double> outlier_weights(std::span<const double> log_residuals,
                                    std::span<const double> weights, double deviation) {
  const double center = weighted_median(log_residuals, weights);
  const double cut = kCut * std::max(deviation, kLeastDeviation);
  std::vector<double> result;
  for (const double distance : distances(log_residuals, center))
    result.push_back(std::clamp(2 - distance / cut, 0.0, 1.0));
  return result;
}

std::vector<double> outlier_weights(std::span<const double> log_residuals,
                                    std::span<const double> weights) {
  return outlier_weights(log_residuals, weights, robust_deviation(log_residuals, weights));
}

}  // namespace rehearse
