// The passes of a pipeline, in one order in which each comes after all that it waits for.
//
// As if every pass took as long as any other, so that in the midst of a step passes come in the
// same pattern again and again: once in the list, with how often. Every stage takes its
// micro-batches one after the other, so that none need be named.
//
// Where passes wait for messages (model/schedule/rendezvous.h), these are in the list, too, behind
// the passes of the step after which they are exchanged.
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
    std::uint16_t stage = 0;  // of a message the sender's
    StageAction action = StageAction::forward;
    bool is_message() const {
      return action == StageAction::send_forward || action == StageAction::send_backward;
    }
  };
  struct Loop {  // passes [begin, end), so many times
    std::size_t begin = 0, end = 0;
    std::int64_t count = 1;
  };
  PipelineShape shape;
  bool splits_backward = false;
  // Messages are among `passes` where these wait for them.
  StageExchange exchange = StageExchange::overlapped;
  std::vector<std::uint32_t> rank;  // by stage
  std::vector<Pass> passes;
  std::vector<Loop> loops;  // ascending; all passes outside of them come once
  std::size_t waiting = 1;  // most messages between two stages that are not yet used
  // Whether micro-batches turn around at the last stage one after the other, no pass between.
  bool turns_at_once = true;
};

// schedule: one that places passes without costs, which can have this shape. Without loops: the
// reference of what follows.
PassOrder plain_pass_order(const PipelineSchedule& schedule, const PipelineShape& shape,
                           StageExchange exchange = StageExchange::overlapped);
// With them. O(ranks^2 chunks), however many micro-batches there are
PassOrder pass_order(const PipelineSchedule& schedule, const PipelineShape& shape,
                     StageExchange exchange = StageExchange::overlapped);

// Each made when it is first asked for.
class PassOrders {
 public:
  const PassOrder& of(const PipelineSchedule& schedule, const PipelineShape& shape,
                      StageExchange exchange = StageExchange::overlapped);

 private:
  using Key =
      std::tuple<const PipelineSchedule*, std::int64_t, std::int64_t, std::int64_t, StageExchange>;
  std::map<Key, PassOrder> known_;
};

}  // namespace rehearse
