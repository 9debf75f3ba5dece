// What is alive on the ranks of workers when most is.
#pragma once

#include "cost/closed_form/live_states.h"
#include "cost/closed_form/worker_step.h"

namespace rehearse {

// By rank of WorkerRanks::ranks. states: live_states() of the schedule and shape; squares: bytes of
// the gradients' norm and its exchange.
std::vector<RankPeak> rank_peaks(const WorkerStep& step, const std::vector<LiveStates>& states,
                                 std::int64_t squares);

}  // namespace rehearse
