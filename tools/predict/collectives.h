// What a described cluster says about collectives before a plan is built.
#pragma once

#include "model/cluster/cluster.h"
#include "model/plan/prices.h"
#include "model/schedule/collective_choice.h"

namespace rehearse {

// By the closed forms of cost/collective_cost.h, with the messages of ranks that are neighbours on
// a node, and of those that are farthest apart.
CollectiveCosts collective_costs(const ClusterSpec& spec);

// The same of given members: messages between the first two on a node, and between those next to
// each other, on different nodes, that have the slowest way. The cluster must outlive it.
CollectivePrice collective_price(const Cluster& cluster);

}  // namespace rehearse
