#include "model/cluster/device.h"

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
