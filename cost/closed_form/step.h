// A step put together: passes, reductions, updates; and what is alive when most is.
#pragma once

#include <cstdint>
#include <vector>

#include "cost/closed_form/gradient_norm.h"
#include "cost/closed_form/staged_model.h"

namespace rehearse {

struct StepParts {
  StagedModel* model = nullptr;
  const PipelineSchedule* schedule = nullptr;
  std::int64_t micro_batches = 1;
  const MeshCosts* mesh = nullptr;
  Sharding sharding = Sharding::none;
  bool overlap = true;
  // In which gradients are complete.
  StageAction finishing() const {
    return schedule->splits_backward ? StageAction::weight : StageAction::backward;
  }
  const NormTimes* norm = nullptr;  // null: nobody asks
};

struct StepTimes {
  double step_time = 0;
  double bubble_fraction = 0;
  double compute = 0, link = 0;  // of the rank that computes longest
  // Seconds of messages that may be under way beside others on the same links: of one rank, of
  // reductions of other ranks, and of those that the last micro-batch's way back waits for.
  double contention = 0;
};
StepTimes step_times(const StepParts& parts);

struct RankPeak {
  std::int64_t live = 0;
  std::uint32_t stage = 0;
  StageAction action = StageAction::forward;
};
// Of a rank of the pipeline. states: live_states() of the schedule and shape.
RankPeak rank_peak(const StepParts& parts, const std::vector<LiveStates>& states, std::size_t rank,
                   std::int64_t squares_bytes);
// Whether the rank before needs as much, or more, in the arena and beside it.
bool is_peak_covered(const StepParts& parts, const std::vector<LiveStates>& states,
                     std::size_t rank);

}  // namespace rehearse
