// Prices of plans whose exchanges are folded into passes.
#pragma once

#include <vector>

#include "model/cluster/cluster.h"
#include "model/plan/fold_exchanges.h"
#include "model/plan/prices.h"

namespace rehearse {

// Of a folded op: the sum of its parts, of exchanges by prices.collective. original: the plan that
// was folded, priced by `prices`.
Prices fold_prices(const FoldedPlan& folded, const Plan& original, const Prices& prices);

// Bytes by link, of one step, of the exchanges that were folded away. O(exchanges + links)
std::vector<Bytes> folded_bytes(const FoldedPlan& folded, const Plan& original,
                                const Cluster& cluster);

}  // namespace rehearse
