// Pipeline stages that fit in memory.
#pragma once

#include <functional>
#include <optional>

#include "cost/memory.h"
#include "model/base/diagnostic.h"
#include "model/cluster/device.h"
#include "model/net/net.h"
#include "model/plan/plan.h"
#include "model/schedule/stages.h"

namespace rehearse {

// Builds the plan with its stages cut there; none: where the costs are cut most evenly.
using BuildCut = std::function<Result<Plan>(const std::optional<StageCut>&)>;
// What the ranks of a plan take of their devices.
using MemoryOfPlan = std::function<PlanMemory(const Plan&)>;

struct FittedPlan {
  Plan plan;
  std::optional<PlanMemory> memory;  // of the plan, where it was asked for
};
// The plan whose stages are cut most evenly if it fits, or else the most even one found that does.
// What fits is found when the plan has been built; from one plan to the next
// stages are cut by what blocks are expected to add to it. Where none is found the first plan
// shows by how much it misses.
Result<FittedPlan> fit_stages(const BuildCut& build, const BlockMemory& blocks,
                              const MemoryOfPlan& memory_of_plan);

}  // namespace rehearse
