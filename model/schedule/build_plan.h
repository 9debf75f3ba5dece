// The way from a strategy to a plan.
#pragma once

#include <vector>

#include "model/base/diagnostic.h"
#include "model/plan/plan.h"
#include "model/schedule/stages.h"
#include "model/schedule/strategy.h"

namespace rehearse {

// costs: by which stages are cut and passes placed, one entry per block of the network; unused
// without a pipeline. memory: if given, stages fit it, or it is an error that they cannot. The
// other errors are those of strategy.h's functions, in their order.
Result<Plan> build_plan(const StrategySpec& strategy, const ModelSpec& model,
                        const Training& training, std::int64_t devices, const StageCosts& costs,
                        const std::optional<StageMemory>& memory = std::nullopt);

// Every block costs the same, its three passes 1 each, and messages nothing.
StageCosts even_costs(std::size_t blocks);

}  // namespace rehearse
