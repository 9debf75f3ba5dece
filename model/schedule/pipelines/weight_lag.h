// The handcrafted zero-bubble schedules of one chunk per rank differ in two numbers per rank.
#pragma once

#include <vector>

#include "model/schedule/pipeline.h"

namespace rehearse::pipelines {

struct WeightLag {
  std::int64_t warm_up;  // forwards before the first backward
  std::int64_t lag;      // the weight gradients of micro-batch j follow B of micro-batch j + lag
};

// The rank's passes: warm_up forwards, then B, W of `lag` micro-batches before, F in turn. What has
// run out is left out, so that any number of micro-batches works. Keeps at most warm_up + lag
// activations: before B_k, k + warm_up forwards have run and k - lag weight gradients.
std::vector<Slot> lagging_weights(std::int64_t rank, std::int64_t micro_batches, WeightLag numbers);

}  // namespace rehearse::pipelines
