// V-shaped schedules with controllable memory: one building block, repeated every six passes.
#pragma once

#include <vector>

#include "model/schedule/pipeline.h"

namespace rehearse::pipelines {

// When a micro-batch's passes start on a rank, in unit passes after its first forward on rank 0.
struct VBlock {
  std::int64_t forward[2], backward_input[2];  // by chunk
};

// By rank: micro-batch k runs 6 k units after the first one, each in its rank's block; the two
// units of six that are left are for the weight gradients, oldest first. The four starts of a block
// must differ modulo six. Dependencies hold because they hold within a block.
std::vector<std::vector<Slot>> repeat_blocks(const PipelineShape& shape,
                                             const std::vector<VBlock>& blocks);

}  // namespace rehearse::pipelines
