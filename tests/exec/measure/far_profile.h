// What the far device pretends to be: slow, so that the kernels of tiny networks are bound by their
// FLOPs and by their bytes, and no kernel is faster than a launch.
#pragma once

#include "model/cluster/device.h"
#include "tests/exec/far_device.h"

namespace rehearse::testing {

// Class k: (k + 1) GFLOP/s, (k + 1) GB/s, 5 us.
inline Device far_profile() {
  Device device;
  device.kind = DeviceKind::gpu;
  device.combine = Combine::roofline;
  for (std::size_t k = 0; k < device.kernels.size(); ++k) {
    const auto scale = static_cast<double>(k + 1);
    device.kernels[k] = {FlopsPerSecond::flops_per_second(1e9 * scale),
                         BytesPerSecond::gigabytes_per_second(scale), Seconds::microseconds(5)};
  }
  return device;
}

inline FarTimes far_times() {
  return [device = far_profile()](const StepWork& work) {
    return price(device, work.kernel, work.flops, work.traffic);
  };
}

}  // namespace rehearse::testing
