// The end of a rank's step: gradients are reduced bucket by bucket while the last passes run,
// weights follow, and go to whoever shares them out.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "cost/closed_form/mesh_costs.h"
#include "cost/closed_form/rank_buckets.h"
#include "cost/closed_form/stage_passes.h"

namespace rehearse {

struct UpdateSettings {
  Sharding sharding = Sharding::none;  // none or of the optimizer's state
  const MeshCosts* mesh = nullptr;
  std::size_t rank = 0;  // of the pipeline
};

// What of it does not depend on the passes, and so not on the size of micro-batches.
struct RankReductions {
  struct Bucket {
    double before = 0;   // seconds of those ahead of it
    double seconds = 0;  // its own
    std::int64_t room = 0;
  };
  struct Class {
    double optimizer = 0, gather = 0;
    bool is_reduced = false, is_tied = false;
  };
  const RankBuckets* held = nullptr;
  std::vector<Bucket> buckets;  // as held's
  std::vector<Class> classes;
  double total = 0;        // of buckets that this rank's replicas reduce alone
  double squares = 0;      // seconds of the gradients' norm, of this rank's part
  std::int64_t state = 0;  // bytes of weights, gradients and the optimizer's state
  std::int64_t room = 0;   // the largest chunk received
};
RankReductions rank_reductions(const RankBuckets& held, const Training& training,
                               const Device& device, const UpdateSettings& settings);

// Each made when it is first asked for. Meshes and buckets must outlive it.
class ReductionTable {
 public:
  ReductionTable(const Training& training, const Device& device)
      : training_(training), device_(device) {}
  const RankReductions& of(const RankBuckets& held, const UpdateSettings& settings);
  const Device& device() const { return device_; }

 private:
  const Training& training_;
  const Device& device_;
  std::map<std::tuple<const RankBuckets*, const MeshCosts*, std::size_t, Sharding>, RankReductions>
      known_;
};

struct RankUpdates {
  // Reductions follow each other on a lane of their own. All that this rank's replicas do alone
  // have ended, at the latest, `after[s]` behind the beginning of the span of the last pass of the
  // rank's stage s: the largest sum of when a bucket is full and what it and the ones behind it
  // take (0: nothing of it is reduced).
  std::vector<double> after;
  const RankReductions* reductions = nullptr;
  // By class: until its own last reduction.
  std::vector<std::vector<double>> after_class;
  struct Tied {  // a bucket of what the first and the last rank share, after all others
    std::vector<double> ready;  // by stage of the rank, as `after`
    double seconds = 0;
  };
  std::vector<Tied> tied;
  // By stage of the rank: the most bytes that are alive while something is reduced in its last
  // pass, above those when that begins.
  std::vector<std::int64_t> reducing;
};
// passes: by stage of the rank. reductions: must outlive it.
RankUpdates rank_updates(const RankReductions& reductions,
                         const std::vector<const StagePasses*>& passes);

}  // namespace rehearse
