// How many micro-batches a rank of a pipeline keeps, and in which state, when most is alive.
//
// Between the things that a rank does with a micro-batch in a stage (StageAction, in this order) it
// keeps what it has done so far left in memory. A schedule says at every pass how many
// micro-batches stand between which two actions, whatever they weigh; of passes of one kind only
// those count of which no other one has as many in every state.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cost/closed_form/stage_passes.h"
#include "model/schedule/pipeline.h"

namespace rehearse {

struct LiveStates {
  // Micro-batches of a stage whose last action was this one, but for receive_backward: those whose
  // output's gradient has been received and not yet been used, whatever else was done with them.
  using Counts = std::array<std::int32_t, kStageActions>;
  struct Moment {
    std::uint32_t stage = 0;  // that the pass is of
    StageAction action = StageAction::forward;
    bool is_last = false;        // of its stage: gradients are complete
    std::vector<Counts> counts;  // by the rank's stages, ascending, when the pass begins
  };
  std::vector<std::uint32_t> stages;  // of the rank
  std::vector<Moment> moments;
};

// By rank. O(passes) for each
std::vector<LiveStates> live_states(const PipelineSchedule& schedule, const PipelineShape& shape);

// Bytes of a micro-batch in each state.
std::array<std::int64_t, kStageActions> bytes_by_state(const StagePasses& passes);

}  // namespace rehearse
