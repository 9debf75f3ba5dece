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
  // Micro-batches of a stage whose last action was this one, and that have others before them, but
  // for receive_backward: those whose output's gradient has been received and not yet been used,
  // whatever else was done with them.
  using Counts = std::array<std::int32_t, kStageActions>;
  struct Moment {
    std::uint32_t place = 0;  // among the rank's stages, of the one that the pass is of
    // A pass; or, where messages stand between passes, a receive.
    StageAction action = StageAction::forward;
    bool is_last = false;  // of its stage: gradients are complete
    friend bool operator==(const Moment&, const Moment&) = default;
  };
  std::vector<std::uint32_t> stages;  // of the rank, ascending
  std::vector<Moment> moments;
  std::vector<Counts> counts;  // by moment and stage of the rank, when the action begins
  // The rank before has as many in every state at a moment of the same kind, whatever the moment:
  // with equal stages it keeps no less.
  bool is_covered = false;

  const Counts* counts_of(std::size_t moment) const { return &counts[moment * stages.size()]; }
  friend bool operator==(const LiveStates&, const LiveStates&) = default;
};

// Fewest micro-batches with which the moments are those of so many: what a schedule does over and
// over leaves the same behind.
std::int64_t fewest_micro_batches(const PipelineSchedule& schedule, const PipelineShape& shape);

// By rank. O(passes of fewest_micro_batches())
std::vector<LiveStates> live_states(const PipelineSchedule& schedule, const PipelineShape& shape,
                                    StageExchange exchange = StageExchange::overlapped);
// All actions of all micro-batches, one by one: the reference of it.
std::vector<LiveStates> plain_live_states(const PipelineSchedule& schedule,
                                          const PipelineShape& shape,
                                          StageExchange exchange = StageExchange::overlapped);

// What is alive on a rank above its state when most is.
struct RankAbove {
  std::int64_t live = -1;  // the most
  std::uint32_t stage = 0;
  StageAction action = StageAction::forward;
  // By stage of the rank: when the pass begins in which gradients are complete; below 0: never.
  std::vector<std::int64_t> before_last;
  StageAction finishing = StageAction::backward;  // that pass
};
// passes, bytes: by stage of the pipeline, those of bytes_by_state().
RankAbove most_alive(const LiveStates& states, const std::vector<const StagePasses*>& passes,
                     const std::vector<const std::array<std::int64_t, kStageActions>*>& bytes);

// Bytes of a micro-batch in each state.
std::array<std::int64_t, kStageActions> bytes_by_state(const StagePasses& passes);

}  // namespace rehearse
