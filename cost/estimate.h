// Figures of a network on a device that need no schedule.
#pragma once

#include <vector>

#include "model/cluster/device.h"
#include "model/net/net.h"
#include "model/plan/plan.h"

namespace rehearse {

// Seconds of each block, forward and backward, for a micro-batch of this many samples: what
// pipeline stages are cut by.
std::vector<double> block_seconds(const Net& net, std::int64_t samples, const Training& training,
                                  const Device& device);

// Arithmetic of one step over all ranks, forward and backward of what each rank really runs:
// dropped blocks are not counted, and nothing is counted twice for being recomputed. Numerator of
// the MFU.
Flops model_flops(const Plan& plan, const Net& full);

}  // namespace rehearse
