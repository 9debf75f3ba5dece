// A network cut into the stages of a pipeline: who has which blocks, and whose gradients are
// reduced when. Prices are no matter.
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "cost/closed_form/rank_buckets.h"
#include "cost/closed_form/rank_net.h"

namespace rehearse {

struct StagedSettings {
  PipelineShape shape;
  BucketSettings buckets;
  bool splits_backward = false;
  Recomputation recomputation = Recomputation::none;
};

// Ranks with equal stages and equal buckets.
struct RankKind {
  const RankBuckets* buckets = nullptr;
  std::vector<NetPrograms::Stage> stages;  // ascending
  Bytes stand_ins;                         // of gradients (cost/memory.h)
};

struct StagedCut {
  std::vector<std::size_t> ranks;  // by stage
  std::vector<BlockId> begins;     // first blocks, by stage
  std::vector<NetPrograms::Stage> stages;
  std::vector<std::vector<std::size_t>> stages_of;  // by rank, ascending
  std::vector<const RankKind*> kinds;               // by rank
  std::vector<std::size_t> like;                    // by rank, the first one of its kind
};

// Of one network. Kinds of ranks are made when they are first asked for.
class StagedCuts {
 public:
  // has_stand_ins: whether gradients have (has_gradient_stand_ins()).
  StagedCuts(RankNet& net, const Training& training, bool has_stand_ins)
      : net_(net),
        training_(training),
        has_stand_ins_(has_stand_ins),
        table_(net.net(), net.run(), net.tensor(), training) {}

  // None: parameters are tied between others than the first and the last rank.
  std::optional<StagedCut> make(const StageCut& cut, const StagedSettings& settings);

 private:
  const RankKind& kind(const std::vector<StageBlocks>& stages, bool shares,
                       const StagedSettings& settings);

  Bytes stand_ins_of(const std::vector<StageBlocks>& stages) const;

  RankNet& net_;
  const Training& training_;
  const bool has_stand_ins_;
  BucketTable table_;
  using Key = std::tuple<std::vector<StageBlocks>, bool, BucketSettings, bool, Recomputation>;
  std::map<Key, RankKind> kinds_;
};

}  // namespace rehearse
