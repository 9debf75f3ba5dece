// The way from a strategy to a plan.
#pragma once

#include <optional>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/plan/plan.h"
#include "model/schedule/stages.h"
#include "model/schedule/strategy.h"

namespace rehearse {

// costs: by which passes are placed, one entry per block of the network; unused without a pipeline.
// cut: where stages begin; none: where the costs are cut most evenly. collectives: what algorithms
// are chosen by, where the strategy leaves that open. Errors are those of
// strategy.h's functions, in their order.
Result<Plan> build_plan(const StrategySpec& strategy, const ModelSpec& model,
                        const Training& training, std::int64_t devices, const StageCosts& costs,
                        const std::optional<StageCut>& cut = std::nullopt,
                        const CollectiveCosts& collectives = {});
// The same for a network that no model kind builds (net_builder.h). The plan names no model: it
// cannot be printed.
Result<Plan> build_plan(const StrategySpec& strategy, const Net& model, const Training& training,
                        std::int64_t devices, const StageCosts& costs,
                        const std::optional<StageCut>& cut = std::nullopt,
                        const CollectiveCosts& collectives = {});

// Every block costs the same, its three passes 1 each, and messages nothing.
StageCosts even_costs(std::size_t blocks);

}  // namespace rehearse
