#include "model/cluster/device.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/base/check.h"

namespace rehearse {

std::string_view to_string(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::gpu:
      return "gpu";
  }
  REHEARSE_UNREACHABLE("device kind");
}

std::string_view to_string(Combine combine) {
  switch (combine) {
    case Combine::roofline:
      return "roofline";
    case Combine::additive:
      return "additive";
  }
  REHEARSE_UNREACHABLE("combine");
}

std::string_view to_string(Provenance provenance) {
  switch (provenance) {
    case Provenance::measured:
      return "measured";
    case Provenance::published:
      return "published";
    case Provenance::assumed:
      return "assumed";
  }
  REHEARSE_UNREACHABLE("provenance");
}

Status set_type(Device& device, DataType type) {
  if (!device.rates_for || *device.rates_for == type) return success();
  for (const DataType needed : {*device.rates_for, type}) {
    if (device.peak.contains(needed)) continue;
    return error(
        fmt::format("device '{}' has kernel rates for {} and no peak for {}: nothing says "
                    "how fast it trains in {}",
                    device.name, to_string(*device.rates_for), to_string(needed), to_string(type)));
  }
  const double ratio = device.peak.at(type) / device.peak.at(*device.rates_for);
  for (const KernelClass kernel :
       {KernelClass::convolution, KernelClass::matrix_product, KernelClass::attention}) {
    KernelRate& rate = device.kernels[static_cast<std::size_t>(kernel)];
    rate.compute = rate.compute * ratio;
  }
  device.rates_for = type;
  return success();
}

const KernelRate& rate_of(const Device& device, KernelClass kernel) {
  return device.kernels[static_cast<std::size_t>(kernel)];
}

Seconds price(const Device& device, KernelClass kernel, Flops flops, Bytes traffic) {
  const KernelRate& rate = rate_of(device, kernel);
  // What does not happen costs nothing, whether or not its rate is known.
  const Seconds compute = flops > Flops{} ? flops / rate.compute : Seconds{};
  const Seconds memory = traffic > Bytes{} ? traffic / rate.memory : Seconds{};
  switch (device.combine) {
    case Combine::roofline:
      return std::max(compute, memory) + rate.overhead;
    case Combine::additive:
      return compute + memory + rate.overhead;
  }
  REHEARSE_UNREACHABLE("combine");
}

}  // namespace rehearse
