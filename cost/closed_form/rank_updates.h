// The end of a rank's step: gradients are reduced bucket by bucket while the last passes run,
// weights follow, and go to whoever shares them out.
#pragma once

#include <cstdint>
#include <vector>

#include "cost/closed_form/mesh_costs.h"
#include "cost/closed_form/rank_buckets.h"
#include "cost/closed_form/stage_passes.h"

namespace rehearse {

// What a rank of the pipeline has, as its passes and its buckets say.
struct RankStages {
  std::vector<std::size_t> numbers;        // of its stages, ascending
  std::vector<const StagePasses*> passes;  // by stage of the rank
  std::vector<SegmentId> begins;           // first segments of these
  const RankBuckets* buckets = nullptr;
};

struct RankUpdates {
  // Reductions follow each other on a lane of their own. All that this rank's replicas do alone
  // have ended, at the latest, `after[s]` behind the beginning of the span of the last pass of the
  // rank's stage s: the largest sum of when a bucket is full and what it and the ones behind it
  // take (0: nothing of it is reduced).
  std::vector<double> after;
  double total = 0;  // of them, one after the other
  struct Class {
    std::vector<double> after;  // until its own last reduction
    double optimizer = 0, gather = 0;
    bool is_reduced = false, is_tied = false;
  };
  std::vector<Class> classes;
  struct Tied {  // a bucket of what the first and the last rank share, after all others
    std::vector<double> ready;  // by stage of the rank, as `after`
    double seconds = 0;
  };
  std::vector<Tied> tied;
  double squares = 0;  // seconds of the gradients' norm, of this rank's part

  std::int64_t state = 0;  // bytes of weights, gradients and the optimizer's state
  // By stage of the rank: the most bytes that are alive while something is reduced in its last
  // pass, above those when that begins.
  std::vector<std::int64_t> reducing;
  std::int64_t room = 0;  // the largest chunk received
};

struct UpdateSettings {
  Sharding sharding = Sharding::none;  // none or of the optimizer's state
  const MeshCosts* mesh = nullptr;
  std::size_t rank = 0;  // of the pipeline
};

RankUpdates rank_updates(const RankStages& stages, const Training& training, const Device& device,
                         const UpdateSettings& settings);

}  // namespace rehearse
