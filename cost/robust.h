// Which measurements a fit is not to follow.
//
// Residuals are logarithms, log(measured / priced): a kernel that took ten times too long and one
// that took a tenth are equally far off. The deviation of the others is estimated from medians,
// which up to half of the samples may be wrong without moving; within kCut deviations of the median
// a sample counts in full, so that fits of samples without outliers stay what they were, beyond
// twice as many not at all, and between as a line between (Hampel's redescending weights with a
// flat core: Hampel, Ronchetti, Rousseeuw and Stahel, "Robust Statistics", 1986, section 2.6).
#pragma once

#include <span>
#include <vector>

namespace rehearse {

inline constexpr double kCut = 4;
// Nothing that is off by less than this is an outlier, however exact the others are.
inline constexpr double kLeastDeviation = 0.01;
// However far off the others are, what is off by e^(2 kCut kMostDeviation), or 7, counts nothing.
inline constexpr double kMostDeviation = 0.25;

// The value that half of the weights lie below. Not of nothing.
double weighted_median(std::span<const double> values, std::span<const double> weights);

// 1.4826 times the median distance from the median, which is the standard deviation of normal
// values; with weights and without, the larger one: the few samples that are most of the time, and
// the many that are not, may each scatter more.
double robust_deviation(std::span<const double> values, std::span<const double> weights);

// None above twice the mean of what comes out, nor above 0.3 of it all: a few samples are not
// to outvote all others, however long they take, nor to move the limit.
std::vector<double> limited(std::vector<double> weights);

// From 0 to 1, by sample. weights: what a sample counts for, such as its time in a step. deviation:
// of those that are no outliers, by default robust_deviation.
std::vector<double> outlier_weights(std::span<const double> log_residuals,
                                    std::span<const double> weights);
std::vector<double> outlier_weights(std::span<const double> log_residuals,
                                    std::span<const double> weights, double deviation);

}  // namespace rehearse
