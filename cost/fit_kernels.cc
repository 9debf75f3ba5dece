#include "cost/fit_kernels.h"

#include <algorithm>
#include <cmath>

#include "cost/rate_fit.h"
#include "cost/robust.h"
#include "model/base/check.h"

namespace rehearse {
namespace {

using AllSamples = std::span<const KernelSample>;

// Whose rates are the most like this class's, nearest first.
std::vector<KernelClass> neighbours(KernelClass kernel) {
  using enum KernelClass;
  switch (kernel) {
    case convolution:
      return {matrix_product, attention};
    case matrix_product:
      return {convolution, attention};
    case attention:
      return {matrix_product, convolution};
    case normalization:
      return {elementwise, reduction, copy};
    case elementwise:
      return {optimizer, copy, normalization};
    case reduction:
      return {elementwise, normalization, copy};
    case embedding:
      return {copy, elementwise};
    case optimizer:
      return {elementwise, copy, normalization};
    case copy:
      return {elementwise, optimizer, normalization};
  }
  REHEARSE_UNREACHABLE("kernel class");
}

std::vector<KernelSample> samples_of(AllSamples samples, KernelClass kernel) {
  std::vector<KernelSample> own;
  for (const KernelSample& sample : samples) {
    if (sample.kernel == kernel) own.push_back(sample);
  }
  return own;
}

// call: a kernel's that does next to nothing.
Floor floor_of(AllSamples samples, Seconds call) {
  double flops = 0, bytes = 0;  // per second, of the fastest kernels
  for (const KernelSample& sample : samples) {
    flops = std::max(flops, (sample.flops / sample.best).flops_per_second());
    bytes = std::max(bytes, (sample.traffic / sample.best).bytes_per_second());
  }
  const auto least_seconds = [](double fastest) {
    return 1 / (kHeadroom * (fastest > 0 ? fastest : kFastest));
  };
  return {least_seconds(flops), least_seconds(bytes), call.seconds()};
}

Seconds priced(Combine combine, const KernelRate& rate, const KernelSample& sample) {
  Device device;
  device.combine = combine;
  device.kernels[static_cast<std::size_t>(sample.kernel)] = rate;
  return price(device, sample.kernel, sample.flops, sample.traffic);
}

// What one sample adds to how far a fit is off.
double distance(Seconds price, const KernelSample& sample) {
  return static_cast<double>(sample.calls) * std::min(price, sample.seconds).seconds() *
         off_squared(price.seconds(), sample.seconds.seconds());
}

double distance(const KernelFit& fit, AllSamples samples) {
  double sum = 0;
  for (const KernelSample& sample : samples)
    sum += distance(rehearse::priced(fit, sample), sample);
  return sum;
}

// Below the least intensity, between any two, and above the largest.
std::vector<double> ridges(AllSamples samples) {
  std::vector<double> all = {-1};
  for (const KernelSample& sample : samples)
    all.push_back(intensity(sample));
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

FittedRate fit_roofline(AllSamples samples, const Floor& floor) {
  std::optional<FittedRate> best;
  double least = 0;
  for (const double ridge : ridges(samples)) {
    FittedRate fitted = RateFit(samples, floor, ridge).run();
    double found = 0;
    for (const KernelSample& sample : samples)
      found += distance(priced(Combine::roofline, fitted.rate, sample), sample);
    if (best && found >= least) continue;
    best = std::move(fitted);
    least = found;
  }
  return *best;
}

FittedRate fit_above(AllSamples samples, const Floor& floor, Combine combine) {
  switch (combine) {
    case Combine::roofline:
      return fit_roofline(samples, floor);
    case Combine::additive:
      return RateFit(samples, floor).run();
  }
  REHEARSE_UNREACHABLE("combine");
}

// Whether samples ask for the rate, or might as well have any that is faster than all kernels.
bool is_told(const std::optional<Interval>& interval, double seconds, double of_fastest) {
  return seconds >= of_fastest || (interval && std::isfinite(interval->high));
}

// A rate that is faster than all kernels, and that samples do not ask for, becomes that of the
// fastest there was; the others are fitted beside it.
FittedRate fit_rate(AllSamples samples, const Floor& floor, Combine combine) {
  const FittedRate fitted = fit_above(samples, floor, combine);
  Floor held = floor;
  for (double* rate : {&held[0], &held[1]})
    *rate *= kHeadroom;
  const auto& [compute, memory, overhead] = fitted.confidence;
  if (is_told(compute, 1 / fitted.rate.compute.flops_per_second(), held[0])) held[0] = floor[0];
  if (is_told(memory, 1 / fitted.rate.memory.bytes_per_second(), held[1])) held[1] = floor[1];
  return held == floor ? fitted : fit_above(samples, held, combine);
}

double median(const std::vector<double>& values) {
  if (values.empty()) return 0;
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

ClassFit judge(Combine combine, KernelClass kernel, const FittedRate& fitted, AllSamples own,
               std::optional<KernelClass> borrowed_from) {
  ClassFit fit;
  fit.kernel = kernel;
  fit.samples = own.size();
  fit.borrowed_from = borrowed_from;
  std::vector<double> errors;
  for (const KernelSample& sample : own)
    errors.push_back(std::abs(priced(combine, fitted.rate, sample) / sample.seconds - 1));
  fit.median_error = median(errors);
  for (const double error : errors)
    fit.worst_error = std::max(fit.worst_error, error);
  if (borrowed_from) return fit;
  fit.confidence = fitted.confidence;
  fit.outliers = static_cast<std::size_t>(std::count_if(fitted.counts.begin(), fitted.counts.end(),
                                                        [](double count) { return count < 0.5; }));
  return fit;
}

// The nearest class with enough samples; any of them if none is near.
std::optional<KernelClass> lender(AllSamples samples, KernelClass kernel) {
  const auto has_enough = [&](KernelClass k) {
    return samples_of(samples, k).size() >= kFewestSamples;
  };
  for (const KernelClass neighbour : neighbours(kernel)) {
    if (has_enough(neighbour)) return neighbour;
  }
  for (int k = 0; k < kKernelClassCount; ++k) {
    if (has_enough(static_cast<KernelClass>(k))) return static_cast<KernelClass>(k);
  }
  return std::nullopt;
}

}  // namespace

Seconds priced(const KernelFit& fit, const KernelSample& sample) {
  return priced(fit.combine, fit.kernels[static_cast<std::size_t>(sample.kernel)], sample);
}

Result<KernelFit> fit_kernels(AllSamples samples, Seconds launch, Combine combine) {
  const Floor floor = floor_of(samples, launch);
  KernelFit fit;
  fit.combine = combine;
  for (int k = 0; k < kKernelClassCount; ++k) {
    const auto kernel = static_cast<KernelClass>(k);
    const auto own = samples_of(samples, kernel);
    std::optional<KernelClass> borrowed;
    if (own.size() < kFewestSamples) {
      borrowed = lender(samples, kernel);
      if (!borrowed) return error(fmt::format("no kernel class has {} samples", kFewestSamples));
    }
    const FittedRate fitted =
        fit_rate(borrowed ? samples_of(samples, *borrowed) : own, floor, combine);
    KernelRate& rate = fit.kernels[static_cast<std::size_t>(k)];
    rate = fitted.rate;
    if (borrowed) rate.provenance = Provenance::assumed;
    fit.classes.push_back(judge(combine, kernel, fitted, own, borrowed));
  }
  return fit;
}

Result<KernelFit> fit_nearest(AllSamples samples, Seconds launch) {
  std::optional<KernelFit> best;
  for (const Combine combine : {Combine::roofline, Combine::additive}) {
    Result<KernelFit> fit = fit_kernels(samples, launch, combine);
    if (!fit) return fit.errors();
    if (!best || distance(*fit, samples) < distance(*best, samples)) best = std::move(*fit);
  }
  return std::move(*best);
}

}  // namespace rehearse
