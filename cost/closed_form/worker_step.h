// A step of workers that hold different parts of a network, or replicas that train each for itself.
//
// Each worker's pipeline runs its passes as any other (pass_timeline.h). Its ranks reduce what they
// hold with those who hold it, too, one bucket after the other in the order that all ranks share
// (model/schedule/buckets.h): a reduction begins when its last member has come to it, so that
// whoever has less to compute waits for the slowest of its groups, and through these for others.
// Every rank begins its next step when it has ended this one; steps are followed one by one, as
// many as a simulation plays, and the one of median length is the step.
#pragma once

#include <optional>
#include <vector>

#include "cost/closed_form/live_states.h"
#include "cost/closed_form/pass_timeline.h"
#include "cost/closed_form/step.h"
#include "cost/closed_form/worker_groups.h"

namespace rehearse {

struct WorkerStep {
  const WorkerRanks* ranks = nullptr;
  std::vector<std::vector<const WorkerPasses*>> passes;  // by worker and stage of its pipeline
  std::vector<std::size_t> like;                         // Workers::like
  const PassOrder* order = nullptr;
  PassLinks links;
  const MeshCosts* mesh = nullptr;
  const std::vector<WorkerGroup>* groups = nullptr;
  const WorkerPrices* prices = nullptr;
  bool overlap = true;
  bool is_local = false;      // gradients are not reduced
  bool synchronises = false;  // but weights are, after the updates
  bool has_outer = false;     // by an outer optimizer
  std::int64_t steps = 6;     // followed
  // Seconds until all ranks, or where steps are local those of one pipeline, have added up their
  // squares; below 0: nobody asks.
  double norm = -1;
};
StepTimes step_times(const WorkerStep& step);

// By rank of WorkerRanks::ranks. states: live_states() of the schedule and shape; squares: bytes of
// the gradients' norm and its exchange.
std::vector<RankPeak> rank_peaks(const WorkerStep& step, const std::vector<LiveStates>& states,
                                 std::int64_t squares);

}  // namespace rehearse
