// What a described cluster says about collectives.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "model/cluster/cluster.h"
#include "model/schedule/collective_choice.h"

namespace rehearse {

// Seconds of a collective of so many elements of so many bytes on an idle machine.
using CollectivePrice =
    std::function<Seconds(const std::vector<RankId>& members, const CollectiveShape& shape,
                          std::int64_t elements, std::int64_t element_bytes)>;

// By the latencies of its steps and the link, or thread, that it needs longest
// (sim::Machine::alone). The cluster must outlive it.
CollectivePrice collective_price(const Cluster& cluster);

// The same before a plan is built, when a group is known by its shape only: as many neighbours as
// that says on each of its nodes, which are spread evenly over the cluster.
CollectiveCosts collective_costs(const ClusterSpec& spec);

}  // namespace rehearse
