#include "cost/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace rehearse {
namespace {

BytesPerSecond memory_bandwidth(const std::vector<CopySample>& copies) {
  BytesPerSecond most;
  for (const CopySample& copy : copies) {
    if (copy.way == CopyWay::within)
      most = std::max(most, 2 * copy.ranks * copy.bytes / copy.seconds);
  }
  return most;
}

// Of the most compute-bound class there is: how memory-bound ones scale is the memory's doing.
std::vector<double> capacity_of(const std::vector<CapacitySample>& samples) {
  if (samples.empty()) return {};
  const auto by_class = [](const CapacitySample& a, const CapacitySample& b) {
    return a.kernel < b.kernel;
  };
  const KernelClass kernel = std::min_element(samples.begin(), samples.end(), by_class)->kernel;
  std::vector<double> capacity;
  for (const CapacitySample& sample : samples) {
    if (sample.kernel != kernel) continue;
    const auto busy = static_cast<std::size_t>(sample.busy);
    if (capacity.size() < busy) capacity.resize(busy, sample.work);
    capacity[busy - 1] = sample.work;
  }
  return capacity;
}

// Of the kernels, and of the rates that those of a class approach as they grow.
FlopsPerSecond fastest(const std::vector<KernelSample>& kernels, const Calibration& fitted) {
  FlopsPerSecond most;
  for (const KernelSample& sample : kernels)
    most = std::max(most, sample.flops / sample.best);
  for (const ClassFit& fit : fitted.classes) {
    const auto& told = fit.confidence.compute;
    if (told && std::isfinite(told->high))
      most = std::max(most, rate_of(fitted.device, fit.kernel).compute);
  }
  return most;
}

std::string source_of(const Samples& samples) {
  const Host& host = samples.host;
  const std::string when = samples.date.empty() ? "" : fmt::format(", {}", samples.date);
  if (samples.gpu) {
    return fmt::format("rehearse-exec measure on {}, driver {}{}", samples.gpu->name,
                       samples.gpu->driver, when);
  }
  return fmt::format("rehearse-exec measure on {} ({} cores), {} ranks, {}{}", host.processor,
                     host.cores, host.ranks, host.backend, when);
}

void take(KernelFit fit, Calibration& calibration) {
  calibration.device.combine = fit.combine;
  calibration.device.kernels = fit.kernels;
  calibration.classes = std::move(fit.classes);
}

// The host's ranks share its memory and cores, and their threads move messages.
Result<Calibration> calibrate_host(const Samples& samples, Calibration calibration) {
  Device& device = calibration.device;
  device.kind = DeviceKind::cpu;
  device.launch = {};
  device.memory = samples.host.memory;
  device.capacity = capacity_of(samples.capacity);
  Result<KernelFit> kernels = fit_kernels(samples.kernels, {}, Combine::additive);
  if (!kernels) return kernels.errors();
  take(*std::move(kernels), calibration);
  // A node is no slower than one rank's copies as kernels.
  const auto copy = static_cast<std::size_t>(KernelClass::copy);
  if (calibration.classes[copy].confidence.memory)
    device.memory_bandwidth = std::max(device.memory_bandwidth, device.kernels[copy].memory);
  const MessageFit messages = fit_messages(samples);
  device.messaging = messages.messaging;
  if (!samples.messages.empty()) calibration.messages = messages;
  return calibration;
}

Result<Calibration> calibrate_gpu(const Samples& samples, Calibration calibration) {
  Device& device = calibration.device;
  device.kind = DeviceKind::gpu;
  device.memory = samples.gpu->memory;
  device.capacity = {};
  device.messaging = {};
  device.launch = samples.launch ? samples.launch->host : Seconds{};
  Result<KernelFit> kernels =
      fit_nearest(samples.kernels, samples.launch ? samples.launch->device : Seconds{});
  if (!kernels) return kernels.errors();
  take(*std::move(kernels), calibration);
  return calibration;
}

}  // namespace

Result<Calibration> calibrate(const Samples& samples, Device base) {
  Calibration calibration;
  calibration.device = std::move(base);
  Device& device = calibration.device;
  device.source = source_of(samples);
  device.provenance = Provenance::measured;
  device.workspace = samples.workspace;
  device.memory_bandwidth = memory_bandwidth(samples.copies);
  device.rates_for = samples.dtype;
  device.errors.reset();
  Result<Calibration> fitted = samples.gpu ? calibrate_gpu(samples, std::move(calibration))
                                           : calibrate_host(samples, std::move(calibration));
  if (!fitted) return fitted;
  fitted->device.peak.try_emplace(samples.dtype, fastest(samples.kernels, *fitted));
  fitted->errors = profile_errors(samples, fitted->device);
  if (fitted->errors) fitted->device.errors = fitted->errors->errors;
  return fitted;
}

}  // namespace rehearse
