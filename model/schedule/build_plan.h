// The way from a strategy to a plan.
#pragma once

#include <vector>

#include "model/base/diagnostic.h"
#include "model/plan/plan.h"
#include "model/schedule/strategy.h"

namespace rehearse {

// costs: relative time of each block, forward and backward, by which stages are cut (one per block;
// unused without a pipeline). The errors are those of strategy.h's functions, in their order.
Result<Plan> build_plan(const StrategySpec& strategy, const ModelSpec& model,
                        const Training& training, std::int64_t devices,
                        const std::vector<double>& costs);

}  // namespace rehearse
