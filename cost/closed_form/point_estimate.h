// One estimate, put together from tables.
#pragma once

#include <vector>

#include "cost/closed_form/estimate_tables.h"
#include "cost/closed_form/estimator.h"

namespace rehearse {

// only_fitting: what does not fit is not priced.
Estimate estimate_point(EstimateTables& tables, const StrategySpec& strategy, bool only_fitting);
// By rank of the pipeline: live bytes of the arena; empty of what has no estimate.
std::vector<std::int64_t> live_bytes(EstimateTables& tables, const StrategySpec& strategy);

}  // namespace rehearse
