#include "cost/rate_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cost/least_squares.h"
#include "cost/robust.h"
#include "model/base/random.h"

namespace rehearse {

using Eigen::Index;

double intensity(const KernelSample& sample) {
  const auto bytes = static_cast<double>(sample.traffic.bytes());
  return bytes > 0 ? sample.flops.flops() / bytes : std::numeric_limits<double>::infinity();
}

double off_squared(double priced, double measured) {
  constexpr double kFarthest = 1;
  const double factor = std::min(std::abs(std::log(measured / priced)), kFarthest);
  return factor * factor;
}

RateFit::RateFit(std::span<const KernelSample> samples, const Floor& floor) : floor_(floor) {
  for (const KernelSample& sample : samples)
    add(sample, sample.flops.flops(), static_cast<double>(sample.traffic.bytes()));
}

RateFit::RateFit(std::span<const KernelSample> samples, const Floor& floor, double ridge)
    : floor_(floor) {
  for (const KernelSample& sample : samples) {
    const bool computes = intensity(sample) > ridge;
    add(sample, computes ? sample.flops.flops() : 0,
        computes ? 0 : static_cast<double>(sample.traffic.bytes()));
  }
}

// The weights are those of the prices themselves, so they are improved in turn, and with them which
// samples are outliers. With prices p0 of the last round, this round's normal equations, multiplied
// by last round's coefficients, read sum counts calls p0 (measured - priced) / p0 = 0: the total is
// right as soon as the support has settled, and where no coefficient is at its floor.
FittedRate RateFit::run() {
  constexpr int kMostRounds = 20;
  constexpr double kSettled = 1e-12;
  start();
  for (int round = 0; round < kMostRounds; ++round) {
    const Eigen::VectorXd before = above_;
    improve();
    if (round > 0 && (above_ - before).cwiseAbs().maxCoeff() == 0) break;
    if (round > 0 && ((above_ - before).array().abs() <= kSettled * above_.array()).all()) break;
  }
  const RateIntervals intervals = confidence();
  keep_total();
  return {{FlopsPerSecond::flops_per_second(1 / (floor_[0] + above_(0))),
           BytesPerSecond::bytes_per_second(1 / (floor_[1] + above_(1))),
           Seconds::seconds(floor_[2] + above_(2))},
          intervals,
          counts_};
}

void RateFit::add(const KernelSample& sample, double flops, double bytes) {
  terms_.push_back({flops, bytes, 1});
  measured_.push_back(sample.seconds.seconds());
  calls_.push_back(static_cast<double>(sample.calls));
}

// Prices to begin with, the nearest of several: of least squares, which outliers may have moved
// beyond telling them from others, and of fits to few samples each, most of which have none. (Such
// "elemental" fits begin robust regressions since Rousseeuw, "Least median of squares regression",
// JASA 79, 1984.)
void RateFit::start() {
  constexpr int kDraws = 60;
  constexpr std::uint64_t kEach = 4, kSeed = 1;
  constexpr double kNearer =
      0.75;  // what a few samples gain by chance is no reason to leave one out
  priced_ = measured_;
  counts_.assign(measured_.size(), 1);
  for (std::size_t i = 0; i < measured_.size(); ++i)
    shares_.push_back(calls_[i] * measured_[i]);
  shares_ = limited(std::move(shares_));
  build();
  above_ = nonnegative_least_squares(a_, b_);
  price();
  Eigen::VectorXd nearest = above_;
  const bool has_outliers =
      std::any_of(counts_.begin(), counts_.end(), [](double count) { return count < 1; });
  double least = (has_outliers ? 1 : kNearer) * distance();
  const Eigen::MatrixXd rows = a_;
  const Eigen::VectorXd values = b_;
  Random random(kSeed);
  for (int draw = 0; draw < kDraws && terms_.size() >= kEach; ++draw) {
    std::vector<Index> some;
    for (std::uint64_t k = 0; k < kEach; ++k)
      some.push_back(static_cast<Index>(random.below(terms_.size())));
    above_ = nonnegative_least_squares(rows(some, Eigen::indexing::all), values(some));
    price();
    if (distance() >= least) continue;
    least = distance();
    nearest = above_;
  }
  above_ = nearest;
  price();
  most_deviation_ = deviation_;
}

// The rows, each by the root of its weight.
void RateFit::build() {
  // A kernel priced at next to nothing would weigh without bound.
  constexpr double kLeastPrice = 0.01;
  a_.resize(std::ssize(terms_), 3);
  b_.resize(std::ssize(terms_));
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    const double scale =
        std::sqrt(counts_[i] * calls_[i] / std::max(priced_[i], kLeastPrice * measured_[i]));
    const auto row = static_cast<Index>(i);
    for (std::size_t c = 0; c < 3; ++c)
      a_(row, static_cast<Index>(c)) = scale * terms_[i][c];
    b_(row) = scale * (measured_[i] - at_floor(i));
  }
}

void RateFit::improve() {
  build();
  above_ = nonnegative_least_squares(a_, b_);
  price();
}

// With the coefficients that there are, and which samples are outliers then.
void RateFit::price() {
  std::vector<double> residuals;
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    // Prices of nothing have no logarithm.
    priced_[i] = std::max(at_floor(i) + above_floor(i), std::numeric_limits<double>::min());
    residuals.push_back(std::log(measured_[i] / priced_[i]));
  }
  deviation_ = std::min(robust_deviation(residuals, shares_), most_deviation_);
  counts_ = outlier_weights(residuals, shares_, deviation_);
}

// Mean of what the samples are off by.
double RateFit::distance() const {
  double sum = 0;
  for (std::size_t i = 0; i < terms_.size(); ++i)
    sum += shares_[i] * off_squared(priced_[i], measured_[i]);
  return sum / std::accumulate(shares_.begin(), shares_.end(), 0.0);
}

// What the floor takes is not the fit's to change; the rest is scaled.
void RateFit::keep_total() {
  double measured = 0, below = 0, above = 0;
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    measured += counts_[i] * calls_[i] * measured_[i];
    below += counts_[i] * calls_[i] * at_floor(i);
    above += counts_[i] * calls_[i] * above_floor(i);
  }
  if (above > 0 && measured > below) above_ *= (measured - below) / above;
}

RateIntervals RateFit::confidence() const {
  const auto widths = rehearse::confidence(a_, b_, above_);
  const auto seconds = [&](std::size_t c) -> std::optional<Interval> {
    if (!widths[c]) return std::nullopt;
    const double at = floor_[c] + above_(static_cast<Index>(c));
    return Interval{std::max(at - *widths[c], floor_[c]), at + *widths[c]};
  };
  const auto rate = [&](std::size_t c) -> std::optional<Interval> {
    const auto per_unit = seconds(c);
    if (!per_unit) return std::nullopt;
    const bool is_open = per_unit->low <= floor_[c];  // the bound is none of the samples'
    return Interval{1 / per_unit->high,
                    is_open ? std::numeric_limits<double>::infinity() : 1 / per_unit->low};
  };
  return {rate(0), rate(1), seconds(2)};
}

double RateFit::at_floor(std::size_t i) const {
  return terms_[i][0] * floor_[0] + terms_[i][1] * floor_[1] + terms_[i][2] * floor_[2];
}

double RateFit::above_floor(std::size_t i) const {
  return terms_[i][0] * above_(0) + terms_[i][1] * above_(1) + terms_[i][2] * above_(2);
}

}  // namespace rehearse
