// What a described cluster says about collectives before a plan is built.
#pragma once

#include "model/cluster/cluster.h"
#include "model/schedule/collective_choice.h"

namespace rehearse {

// By the closed forms of cost/collective_cost.h, with the messages of ranks that are neighbours on
// a node, and of those that are farthest apart.
CollectiveCosts collective_costs(const ClusterSpec& spec);

}  // namespace rehearse
