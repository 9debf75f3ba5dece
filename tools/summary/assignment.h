// Who holds which unit in subnetwork data parallelism, what each worker has to carry, and how the
// workers' sums of gradients take turns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/base/styled_text.h"
#include "model/base/units.h"
#include "model/plan/plan.h"
#include "model/schedule/assignment.h"

namespace rehearse {

// Of one worker: all ranks that share its micro-batches together.
struct WorkerLoad {
  std::int64_t units = 0;
  double share = 0;  // of the units
  Flops flops;       // of one sample, forward and backward
  std::int64_t parameters = 0;
  Bytes state;        // parameters, gradients and the optimizer's state; with what is parked here
  Bytes activations;  // the rest of the largest sum of live buffers
};

struct AssignmentSummary {
  std::string strategy, plan_hash;
  std::vector<std::string> units;  // names
  Assignment assignment;
  // By unit that nobody holds: the worker whose replica keeps it.
  std::vector<std::optional<std::int64_t>> parked;
  std::vector<WorkerLoad> loads;    // by worker
  std::int64_t parameters = 0;      // of the network
  std::vector<Fraction> coverages;  // asked for, where workers have their own; by worker
  double spectral_gap = 0;          // assignment.h
  bool connected = false;
  // Groups in which gradients are summed, the sums of a step, and the rounds they take at least, if
  // each takes one and a rank takes part in one at a time, in the plan's order.
  std::int64_t groups = 0, collectives = 0, rounds = 0;
};

// By worker that is left: the coverage that a strategy asks for; empty where all are alike.
std::vector<Fraction> coverages_asked(const StrategySpec& strategy, const Mesh& mesh);

// By unit that nobody holds: the worker whose replica keeps it.
std::vector<std::optional<std::int64_t>> parked_units(const Plan& plan, const Net& net);

// Who holds which unit of whole_net(plan).
Assignment assignment_of(const Plan& plan, const Net& net);

// The plan of a strategy with workers; it must be valid (verify()). net: whole_net(plan).
AssignmentSummary summarize_assignment(const Plan& plan, const Net& net);

StyledText print_table(const AssignmentSummary& summary);
std::string print_json(const AssignmentSummary& summary);

}  // namespace rehearse
