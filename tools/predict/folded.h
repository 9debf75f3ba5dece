// Prices of plans whose exchanges are folded into passes.
#pragma once

#include <vector>

#include "model/cluster/cluster.h"
#include "model/plan/fold_exchanges.h"
#include "model/plan/prices.h"
#include "tools/predict/collectives.h"

namespace rehearse {

struct FoldedPrices {
  Prices prices;
  InnerExchanges exchanges;
};

// Of a folded op: the sum of its parts, of exchanges by their price. original: the plan that was
// folded, priced by `prices`.
FoldedPrices fold_prices(const FoldedPlan& folded, const Plan& original, const Prices& prices,
                         const CollectivePrice& exchange);

// Bytes by link, of one step, of the exchanges that were folded away. O(exchanges + links)
std::vector<Bytes> folded_bytes(const FoldedPlan& folded, const Plan& original,
                                const Cluster& cluster);
// Bytes by link, of one step, of the replicas that are not played: messages and collectives inside
// them. plan: all of it; size: ranks of the first, or 0 for the bytes of all.
std::vector<Bytes> bytes_of_others(const Plan& plan, std::size_t size, const Cluster& cluster);

}  // namespace rehearse
