// What the ranks of a pipeline hold, and in which buckets its gradients are reduced.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "model/net/alike.h"
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
  auto operator<=>(const BucketSettings&) const = default;
};

// Blocks [begin, end) of a stage.
struct StageBlocks {
  std::size_t begin = 0, end = 0;
  auto operator<=>(const StageBlocks&) const = default;
};

// Of one network as a rank of `tensor` runs it. Ranks whose stages are alike have one entry, made
// when it is first asked for.
class BucketTable {
 public:
  // All must outlive it. run: the net's blocks that are alike.
  BucketTable(const Net& net, const BlockRun& run, std::int64_t tensor, const Training& training);

  // Whether the first and the last rank of a pipeline share parameters. By block: the rank it is
  // on. None: others do, too.
  std::optional<bool> are_tied(const std::vector<std::size_t>& ranks) const;
  // stages: of the rank, ascending. shares: what it has in common with another rank is tied.
  const RankBuckets& of(const std::vector<StageBlocks>& stages, bool shares,
                        const BucketSettings& settings);
  // Stages in the midst of alike blocks as if they began with the first of these: equal ones are
  // alike.
  StageBlocks alike(const StageBlocks& stage) const;

 private:
  struct Used {  // by a block
    ParameterId parameter;
    SegmentId first;
  };
  RankBuckets make(const std::vector<StageBlocks>& stages, bool shares,
                   const BucketSettings& settings) const;
  HeldBucket held(const Bucket& bucket, const std::vector<StageBlocks>& stages) const;
  bool is_elsewhere(ParameterId parameter, const std::vector<StageBlocks>& stages) const;

  const Net& net_;
  const BlockRun& run_;
  const std::int64_t tensor_;
  const std::int64_t gradient_bytes_;
  std::vector<std::size_t> order_;       // by parameter: of its first use
  std::vector<std::vector<Used>> used_;  // by block
  struct Use {
    std::size_t block;
    SegmentId first;
  };
  std::vector<std::vector<Use>> uses_;                      // by parameter, ascending
  std::map<ParameterId, std::vector<std::size_t>> shared_;  // by several blocks: which
  std::map<std::tuple<std::vector<StageBlocks>, bool, BucketSettings>, RankBuckets> known_;
};

}  // namespace rehearse
