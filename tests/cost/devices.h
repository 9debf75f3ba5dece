// A device whose prices can be worked out by hand.
#pragma once

#include "model/cluster/device.h"

namespace rehearse::testing {

// Class k: (k + 1) GFLOP/s, 10 (k + 1) GB/s, (k + 1) us.
inline Device simple_device(Combine combine = Combine::additive) {
  Device device;
  device.name = "simple";
  device.kind = DeviceKind::cpu;
  device.provenance = Provenance::measured;
  device.memory = Bytes::gib(1);
  device.combine = combine;
  for (std::size_t k = 0; k < device.kernels.size(); ++k) {
    const auto scale = static_cast<double>(k + 1);
    device.kernels[k] = {FlopsPerSecond::flops_per_second(1e9 * scale),
                         BytesPerSecond::gigabytes_per_second(10 * scale),
                         Seconds::microseconds(scale)};
  }
  return device;
}

}  // namespace rehearse::testing
