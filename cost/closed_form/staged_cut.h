// A network cut into the stages of a pipeline: who has which blocks, and whose gradients are
// reduced when. Prices are no matter.
#pragma once

#include <vector>

#include "cost/closed_form/rank_buckets.h"
#include "cost/closed_form/rank_net.h"

namespace rehearse {

struct StagedSettings {
  PipelineShape shape;
  bool splits_backward = false;
  Recomputation recomputation = Recomputation::none;
};

struct StagedCut {
  std::vector<std::size_t> ranks;  // by stage
  std::vector<BlockId> begins;     // first blocks, by stage
  std::vector<RankNet::Stage> stages;
  std::vector<std::vector<std::size_t>> stages_of;    // by rank, ascending
  const std::vector<RankBuckets>* buckets = nullptr;  // by rank
  // By rank, the first rank that has the same: stages of the same kind with as many repeats, and
  // the same buckets.
  std::vector<std::size_t> like;
};

// buckets: of the same cut; they must outlive it.
StagedCut staged_cut(RankNet& net, const StageCut& cut, const StagedSettings& settings,
                     const std::vector<RankBuckets>& buckets);

}  // namespace rehearse
