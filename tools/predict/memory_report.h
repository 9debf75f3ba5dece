// Where a strategy's memory goes: on every kind of rank, at the moment of its peak; and what would
// make it fit, where it does not.
#pragma once

#include <string>
#include <vector>

#include "cost/memory.h"
#include "cost/memory_curve.h"
#include "model/base/styled_text.h"
#include "tools/predict/predict.h"

namespace rehearse {

// Ranks that run one program on one kind of device.
struct MemoryOfRanks {
  std::vector<RankId> ranks;
  RankMemory memory;
  MemoryCurve curve;
  std::string peak_op;  // describe_op() of the op at the peak
  Bytes device;         // what a device has; of a CPU node, a rank's share of it
  Bytes spare;          // of the rank with the least; negative: what it lacks
};

// The strategy with a change of its own, on the same machines.
struct Remedy {
  std::string change;  // as the scenario would write it
  Bytes peak, spare;   // of the worst rank, and of the rank with the least
  bool fits() const { return spare >= Bytes{}; }
};

struct MemoryReport {
  std::string strategy, plan_hash;
  std::vector<MemoryOfRanks> kinds;  // by first rank
  std::size_t worst = 0;             // the kind of the largest peak
  bool fits = true;
  // Where it does not fit: other recomputation, sharding and micro-batches, one at a time, then all
  // together; those that the strategy cannot have are left out.
  std::vector<Remedy> remedies;
};

// Of a strategy with local steps the step that synchronises, of drawn plans the first. Errors: as
// plan_of()'s; stated prices, whose tensors have no size.
Result<MemoryReport> memory_report(const Scenario& scenario, const ScenarioStrategy& strategy);

StyledText print_table(const MemoryReport& report);
std::string print_json(const std::string& scenario, const std::vector<MemoryReport>& reports);

}  // namespace rehearse
