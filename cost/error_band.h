// How far off a predicted step time may be, and whether two of them can be told apart.
//
// A step of length T goes into computing, the share c of it, and into messages, the share m. With
// the profile's errors (PredictionErrors) measured times are
//   T' = T (c exp(x_c) + m exp(x_m)) exp(x_s)
// with independent normal x of mean 0 and deviations s_c, s_m, s_s: all computing on the device is
// off by one factor (its rates), all messages by another, and each prediction by one of its own. To
// first order in the x, as c + m = 1,
//   log(T' / T) = c x_c + m x_m + x_s,   sigma^2 = (c s_c)^2 + (m s_m)^2 + s_s^2,
// and 90 % of what is measured lies in T exp(-+ 1.645 sigma). Two predictions on the same machine
// have x_c and x_m in common and each its own x_s, so what is wrong with both alike cancels:
//   log(T1'/T2') - log(T1/T2) = (c1 - c2) x_c + (m1 - m2) x_m + x_s1 - x_s2,
//   sigma^2 = ((c1 - c2) s_c)^2 + ((m1 - m2) s_m)^2 + 2 s_s^2.
#pragma once

#include <optional>

#include "model/base/units.h"
#include "model/cluster/cluster.h"

namespace rehearse {

// The 95th percentile of the standard normal distribution: 90 % lie within +- this.
inline constexpr double kBandDeviations = 1.6448536269514722;

struct StepShares {
  double computing = 0, messages = 0;
};
// Of what a rank computes in a step and of its exposed communication. Its idle time is divided as
// the rest: what it waits for is another rank's computing or another's messages. Both 0: a step of
// nothing.
StepShares step_shares(Seconds compute, Seconds exposed_communication);

// Of the cluster's devices the largest, one by one; none if one of the devices has none.
std::optional<PredictionErrors> errors_of(const ClusterSpec& cluster);

// sigma of one prediction, and of the logarithm of two predictions' ratio.
double log_deviation(const StepShares& shares, const PredictionErrors& errors);
double log_ratio_deviation(const StepShares& a, const StepShares& b,
                           const PredictionErrors& errors);

// In which 90 % of measured times lie.
struct TimeBand {
  Seconds low, high;
  bool contains(Seconds time) const { return low <= time && time <= high; }
};
TimeBand time_band(Seconds predicted, const StepShares& shares, const PredictionErrors& errors);

struct PredictedStep {
  Seconds time;  // above 0
  StepShares shares;
};
// Whether the shorter one, on the machine of both, is so much shorter that errors alone make two
// that are equally long differ that much in fewer than 10 % of cases.
bool can_be_told_apart(const PredictedStep& a, const PredictedStep& b,
                       const PredictionErrors& errors);

}  // namespace rehearse
