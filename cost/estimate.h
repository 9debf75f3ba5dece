// Figures of a network on a device that need no schedule.
#pragma once

#include <vector>

#include "model/cluster/cluster.h"
#include "model/net/net.h"
#include "model/plan/plan.h"
#include "model/schedule/stages.h"

namespace rehearse {

// A block's passes: its segments between exchanges of rows, which are no passes.
struct SegmentRange {
  SegmentId begin, end;
};
std::vector<SegmentRange> passes_of(const Net& net, BlockId block);

// Seconds of each block's passes for a micro-batch of this many samples: what pipeline stages are
// cut and passes placed by. net: as a rank runs it, sliced and with its attention recomputed; what
// is recomputed in full is part of the backward. Messages cost nothing here: they are the
// cluster's.
StageCosts stage_costs(const Net& net, Recomputation recomputation, std::int64_t samples,
                       const Training& training, const Device& device);

// The same with what tensor-parallel ranks exchange in each block, and a message between
// neighbouring stages, by the slower of the links there are: nobody knows yet which ranks are
// neighbours. net: of this mesh.
StageCosts stage_costs(const Net& net, Recomputation recomputation, std::int64_t samples,
                       const Training& training, const ClusterSpec& cluster, const Mesh& mesh);

// Bytes of each block: its model state, of which each of so many holders has its share, with that
// of an outer optimizer, and what one micro-batch keeps of it for backward, its input among it.
BlockMemory block_memory(const Net& net, Recomputation recomputation, std::int64_t samples,
                         const Training& training, Sharding sharding, std::int64_t holders,
                         const std::optional<OuterOptimizer>& outer = std::nullopt);

// Arithmetic of one step over all ranks, forward and backward of what each rank really runs:
// dropped blocks are not counted, and nothing is counted twice for being recomputed. Numerator of
// the MFU.
Flops model_flops(const Plan& plan, const Net& full);

}  // namespace rehearse
