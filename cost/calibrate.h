// From measurements to a device profile.
#pragma once

#include <optional>
#include <vector>

#include "cost/fit_kernels.h"
#include "cost/fit_messages.h"
#include "cost/profile_errors.h"
#include "model/base/diagnostic.h"
#include "model/cluster/device.h"
#include "model/cluster/samples.h"

namespace rehearse {

struct Calibration {
  Device device;
  std::vector<ClassFit> classes;        // one per KernelClass
  std::optional<MessageFit> messages;   // where some were measured
  std::optional<ProfileErrors> errors;  // where networks' steps were
};

// base: what samples do not say, such as the name and datasheet peaks; the rest is overwritten.
//
// Kernel classes as in fit_kernels.h, messages as in fit_messages.h, errors as in profile_errors.h.
// A class that borrows another's row has it as an assumption. Capacity: how the most compute-bound
// class measured scales with busy ranks. Memory bandwidth: the fastest copying, read and written.
// Peak, unless base has it: that of the fastest kernel, or the largest rate that samples determine.
// Messages of GPUs are no matter of their ranks' threads, and each has a device of its own: neither
// capacity nor messaging. Errors: no class has kFewestSamples samples.
Result<Calibration> calibrate(const Samples& samples, Device base);

}  // namespace rehearse
