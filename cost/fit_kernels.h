// The rates of kernel classes from samples of their kernels.
//
// Each class: seconds = F / compute + B / memory + overhead, with non-negative coefficients
// from least squares in which each sample has the weight calls / priced (as in quasi-likelihood
// with a variance that grows with the mean: McCullagh and Nelder, "Generalized Linear Models",
// 1989, chapter 9). So a kernel counts by the time it takes in a step, and the class's total is
// right: sum calls measured = sum calls priced. (Least relative error would let the many small
// kernels, which run in cache, set the rate of the few large ones, which are the step.) Samples
// that are far from the others count little (cost/robust.h), in the fit and in its total. No
// class is faster than kHeadroom times the fastest kernel measured: samples that do not tell its
// FLOPs from its bytes would make one of them free, for kernels unlike these. A rate above the
// fastest kernel's that might as well be endless is not what samples say: it becomes that one's.
//
// A GPU's kernels overlap arithmetic with memory traffic or do not, so its rows are fitted both
// ways,
//   seconds = max(F / compute, B / memory) + overhead, or the sum as above,
// and all classes are of the way that is nearer: with the smaller sum of
//   calls min(measured, priced) log(measured / priced)^2,
// where a factor beyond e counts as e. With the max a kernel is bound by its FLOPs where F / B is
// above the ridge, compute / memory, and else by its bytes; the ridge lies between two of the
// kernels, so every such place is tried, with the coefficients as above for kernels divided there.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/cluster/device.h"
#include "model/cluster/samples.h"

namespace rehearse {

inline constexpr double kHeadroom = 2;
// FLOP/s or B/s where no kernel measured has any.
inline constexpr double kFastest = 1e18;
inline constexpr std::size_t kFewestSamples = 3;

// In which a coefficient lies with 90 % confidence (cost/least_squares.h); of rates that may be as
// fast as the bound lets them without end.
struct Interval {
  double low = 0, high = 0;
};
// FLOP/s, B/s, seconds; none where no sample decides the coefficient, as it is at its bound, or
// no more samples count than coefficients are fitted. With a roofline they take the ridge for
// certain.
struct RateIntervals {
  std::optional<Interval> compute, memory, overhead;
};

// How well one kernel class's row prices the samples it was fitted to: |priced / measured - 1|.
struct ClassFit {
  KernelClass kernel = KernelClass::elementwise;
  std::size_t samples = 0;
  std::size_t outliers = 0;  // of them, that count by less than half
  // The class whose row this one uses, having fewer than kFewestSamples of its own.
  std::optional<KernelClass> borrowed_from;
  double median_error = 0, worst_error = 0;
  RateIntervals confidence;
};

struct KernelFit {
  Combine combine = Combine::additive;
  std::array<KernelRate, kKernelClassCount> kernels{};
  std::vector<ClassFit> classes;  // one per KernelClass
};

// launch: what a kernel that does next to nothing takes, the least of any. Errors: no class has
// kFewestSamples samples.
Result<KernelFit> fit_kernels(std::span<const KernelSample> samples, Seconds launch,
                              Combine combine);
// Of the two ways of a GPU the one that is nearer; of equals roofline.
Result<KernelFit> fit_nearest(std::span<const KernelSample> samples, Seconds launch);

// What the fit says a kernel takes.
Seconds priced(const KernelFit& fit, const KernelSample& sample);

}  // namespace rehearse
