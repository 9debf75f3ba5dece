// One estimate, put together from tables.
#pragma once

#include <vector>

#include "cost/closed_form/estimate_tables.h"
#include "cost/closed_form/estimator.h"

namespace rehearse {

struct EstimateRule {
  bool only_fitting = false;  // what does not fit is not priced
  bool plays = false;         // Contention::played
};
Estimate estimate_point(EstimateTables& tables, const StrategySpec& strategy,
                        const EstimateRule& rule);
// By rank of the pipeline: live bytes of the arena; empty of what has no estimate.
std::vector<std::int64_t> live_bytes(EstimateTables& tables, const StrategySpec& strategy);

}  // namespace rehearse
