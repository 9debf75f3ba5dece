#include "cost/error_band.h"

#include <algorithm>
#include <cmath>

namespace rehearse {

StepShares step_shares(Seconds compute, Seconds exposed_communication) {
  const Seconds both = compute + exposed_communication;
  if (both <= Seconds{}) return {};
  return {compute / both, exposed_communication / both};
}

std::optional<PredictionErrors> errors_of(const ClusterSpec& cluster) {
  std::optional<PredictionErrors> largest = cluster.device.errors;
  for (const RankException& exception : cluster.ranks) {
    if (!exception.device) continue;
    const auto& other = exception.device->errors;
    if (!largest || !other) return std::nullopt;
    largest = {std::max(largest->computing, other->computing),
               std::max(largest->messages, other->messages),
               std::max(largest->strategy, other->strategy)};
  }
  return largest;
}

double log_deviation(const StepShares& shares, const PredictionErrors& errors) {
  return std::hypot(shares.computing * errors.computing, shares.messages * errors.messages,
                    errors.strategy);
}

double log_ratio_deviation(const StepShares& a, const StepShares& b,
                           const PredictionErrors& errors) {
  return std::hypot((a.computing - b.computing) * errors.computing,
                    (a.messages - b.messages) * errors.messages, std::sqrt(2) * errors.strategy);
}

TimeBand time_band(Seconds predicted, const StepShares& shares, const PredictionErrors& errors) {
  const double factor = std::exp(kBandDeviations * log_deviation(shares, errors));
  return {predicted * (1 / factor), predicted * factor};
}

bool can_be_told_apart(const PredictedStep& a, const PredictedStep& b,
                       const PredictionErrors& errors) {
  return std::abs(std::log(a.time / b.time)) >
         kBandDeviations * log_ratio_deviation(a.shares, b.shares, errors);
}

}  // namespace rehearse
