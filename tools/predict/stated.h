// Pipelines played by the times that a scenario states itself.
#pragma once

#include "model/cluster/cluster.h"
#include "model/plan/plan.h"
#include "model/plan/prices.h"
#include "model/scenario/scenario.h"

namespace rehearse {

// The strategy's pipeline on a chain with one block per stage, one sample per micro-batch.
Result<Plan> stated_plan(const StatedPrices& prices, const ScenarioStrategy& strategy);

// Machines between which every message takes the stated time, whatever its size.
ClusterSpec stated_cluster(const StatedPrices& prices, const Plan& plan);

// Every pass costs its rank's time over the rank's stages, whatever the chain's kernels would.
Prices stated_prices(const StatedPrices& prices, const Plan& plan);

}  // namespace rehearse
