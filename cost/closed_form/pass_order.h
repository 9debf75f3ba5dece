// The passes of a pipeline, in one order in which each comes after all that it waits for, and when
// they run.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "cost/closed_form/stage_passes.h"
#include "model/schedule/pipeline.h"

namespace rehearse {

// Stages on ranks, and the order of their passes: independent of what passes take.
struct PassOrder {
  struct Pass {
    std::uint32_t stage = 0, micro_batch = 0;
    StageAction action = StageAction::forward;
    bool is_last = false;  // of its stage: gradients are complete
  };
  PipelineShape shape;
  bool splits_backward = false;
  std::vector<std::uint32_t> rank;  // by stage
  std::vector<Pass> passes;
};
// schedule: one that places passes without costs, which can have this shape.
PassOrder pass_order(const PipelineSchedule& schedule, const PipelineShape& shape);

// Each made when it is first asked for.
class PassOrders {
 public:
  const PassOrder& of(const PipelineSchedule& schedule, const PipelineShape& shape);

 private:
  using Key = std::tuple<const PipelineSchedule*, std::int64_t, std::int64_t, std::int64_t>;
  std::map<Key, PassOrder> known_;
};

// When a rank's passes of one step have ended, and what it has done.
struct RankPasses {
  double begin = 0;       // of its first pass: what it did before was to wait
  double end = 0;         // of its last pass
  double sent = 0;        // when its last message has arrived
  double busy = 0;        // computing
  double exchanging = 0;  // waiting inside passes for tensor-parallel ranks
};
struct PassTimeline {
  std::vector<RankPasses> ranks;
  std::vector<double> last_pass;  // by stage: when its last pass has computed
};

// Seconds of the messages over the boundary behind each stage.
struct PassLinks {
  std::vector<double> forward, backward;
};

// A pass begins when the rank has ended the one before and its input has arrived; a message leaves
// when it is made, the one before it over the same boundary has arrived and the receiver has come
// to it, which is one pass before it is needed (model/schedule/actions.h). stages: by stage; begin:
// by rank, when it begins the step. O(passes)
PassTimeline run_passes(const PassOrder& order, const std::vector<const StagePasses*>& stages,
                        const PassLinks& links, const std::vector<double>& begin);

// The same of any number of micro-batches: after some rounds, of as many micro-batches as ranks,
// all take as long as one another, and are not followed one by one; where that has not come about,
// they are. shape: with its micro-batches.
PassTimeline run_many_passes(PassOrders& orders, const PipelineSchedule& schedule,
                             const PipelineShape& shape,
                             const std::vector<const StagePasses*>& stages, const PassLinks& links,
                             const std::vector<double>& begin);

}  // namespace rehearse
