// A step of workers that hold different parts of a network, or replicas that train each for itself.
//
// Each worker's pipeline runs its passes as any other (pass_timeline.h). Its ranks reduce what they
// hold with those who hold it, too, one bucket after the other in the order that all ranks share
// (model/schedule/buckets.h): a reduction begins when its last member has come to it, so that
// whoever has less to compute waits for the slowest of its groups, and through these for others.
// Every rank begins its next step when it has ended this one; steps are followed one by one, as
// many as a simulation plays, and the one of median length is the step.
#pragma once

#include <vector>

#include "cost/closed_form/gradient_norm.h"
#include "cost/closed_form/pass_timeline.h"
#include "cost/closed_form/step.h"
#include "cost/closed_form/worker_groups.h"

namespace rehearse {

// Who adds up squares together.
struct WorkerNorm {
  NormExchange exchange;
  std::vector<std::size_t> ranks;  // by member: which of WorkerRanks::ranks it is
};

struct WorkerStep {
  const WorkerRanks* ranks = nullptr;
  std::vector<std::vector<const WorkerPasses*>> passes;  // by worker and stage of its pipeline
  std::vector<std::size_t> like;                         // Workers::like
  const PassOrder* order = nullptr;
  PassLinks links;  // of each boundary the slowest replica's
  // By worker: those of its replicas (slowest_replicas()); equal ones are one.
  std::vector<const std::vector<PassLinks>*> replicas;
  const MeshCosts* mesh = nullptr;
  const std::vector<WorkerGroup>* groups = nullptr;
  const WorkerPrices* prices = nullptr;
  bool overlap = true;
  bool is_local = false;      // gradients are not reduced
  bool synchronises = false;  // but weights are, after the updates
  bool has_outer = false;     // by an outer optimizer
  std::int64_t steps = 6;     // followed
  // All ranks', or where steps are local those of one pipeline each; empty: nobody asks.
  const std::vector<WorkerNorm>* norms = nullptr;
};
StepTimes step_times(const WorkerStep& step);

}  // namespace rehearse
