// From measurements to a device profile.
#pragma once

#include <optional>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/cluster/device.h"
#include "model/cluster/samples.h"

namespace rehearse {

// How well one kernel class's row prices the samples it was fitted to: |priced / measured - 1|.
struct ClassFit {
  KernelClass kernel = KernelClass::elementwise;
  std::size_t samples = 0;
  // The class whose row this one uses, having fewer than kFewestSamples of its own.
  std::optional<KernelClass> borrowed_from;
  double median_error = 0, worst_error = 0;
};
inline constexpr std::size_t kFewestSamples = 3;

struct Calibration {
  Device device;
  std::vector<ClassFit> classes;  // one per KernelClass
  double message_error = 0;       // median over the message sizes
};

// base: what samples do not say, such as the name and datasheet peaks; the rest is overwritten.
//
// Each kernel class: seconds = F / compute + B / memory + overhead, with non-negative coefficients
// from least squares in which each sample has the weight calls / priced (as in quasi-likelihood
// with a variance that grows with the mean: McCullagh and Nelder, "Generalized Linear Models",
// 1989, chapter 9). So a kernel counts by the time it takes in a step, and the class's total is
// right: sum calls measured = sum calls priced. (Least relative error would let the many small
// kernels, which run in cache, set the rate of the few large ones, which are the step.) No
// class is faster than kHeadroom times the fastest kernel measured: samples that do not tell its
// FLOPs from its bytes would make one of them free, for kernels unlike these. Messages: half a
// round trip and what each thread measured of itself are lines in the bytes, of least relative
// error. per_message is a thread's mean fixed part, the latency what is left of the message's; per
// byte, the threads' parts are what they measured, scaled up to fill the message's time where they
// fall short of it. Capacity: how the most compute-bound class measured scales with busy ranks.
// Memory bandwidth: the fastest copying, read and written. Peak, unless base has it: the fastest
// kernel. Errors: no class has kFewestSamples samples.
//
// A GPU's kernels overlap arithmetic with memory traffic or do not, so its rows are fitted both
// ways,
//   seconds = max(F / compute, B / memory) + overhead, or the sum as above,
// and all classes are of the way that is nearer: with the smaller sum of calls (measured -
// priced)^2 / measured. With the max a kernel is bound by its FLOPs where F / B is above the ridge,
// compute / memory, and else by its bytes; the ridge lies between two of the kernels, so every such
// place is tried, with the coefficients as above for kernels divided there. Messages are no matter
// of its ranks' threads, and each has a device of its own: neither capacity nor messaging.
Result<Calibration> calibrate(const Samples& samples, Device base);

inline constexpr double kHeadroom = 2;
// FLOP/s or B/s where no kernel measured has any.
inline constexpr double kFastest = 1e18;

}  // namespace rehearse
