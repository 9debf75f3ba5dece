// What the ranks of a pipeline hold, and in which buckets its gradients are reduced.
#pragma once

#include <cstdint>
#include <vector>

#include "model/net/net.h"
#include "model/plan/training.h"
#include "model/schedule/buckets.h"
#include "model/schedule/pipeline.h"
#include "model/schedule/stages.h"

namespace rehearse {

// Who reduces a class: the data-parallel replicas of its rank; with the tensor-parallel ranks where
// these have terms of it; with another rank of the pipeline, where both use it.
struct HeldClass {
  std::int64_t elements = 0;
  bool is_partial = false, is_tied = false;
  bool is_reduced = false;  // whether there is more than one holder
};

struct HeldBucket {
  std::size_t held = 0;  // of the rank's classes
  std::int64_t elements = 0;
  // By stage of the rank where anything of it is used: the first segment there that does.
  struct Use {
    std::size_t stage = 0;               // of the rank's
    std::size_t block = 0, segment = 0;  // of the stage; of the block
  };
  std::vector<Use> uses;
};

struct RankBuckets {
  std::vector<HeldClass> classes;
  std::vector<HeldBucket> buckets;  // in the order of their reductions
};

struct BucketSettings {
  Bytes size;
  bool has_replicas = false;  // data-parallel ones
  std::int64_t tensor = 1;    // ranks
};

// By rank of the pipeline. cut: of the stages. Parameters may be tied between two ranks at most:
// none otherwise.
std::optional<std::vector<RankBuckets>> rank_buckets(const Net& net, const PipelineShape& shape,
                                                     const StageCut& cut, const Training& training,
                                                     const BucketSettings& settings);

}  // namespace rehearse
