#include "tools/predict/collectives.h"

#include <algorithm>

#include "cost/collective_cost.h"

namespace rehearse {
namespace {

Path path_between(const Cluster& cluster, RankId from, RankId to) {
  Path path;
  for (const LinkId id : cluster.route(from, to)) {
    const Link& link = cluster.links()[id.index()];
    path.latency += link.latency;
    path.bandwidth = path.bandwidth ? std::min(*path.bandwidth, link.bandwidth) : link.bandwidth;
  }
  return path;
}

}  // namespace

CollectiveCosts collective_costs(const ClusterSpec& spec) {
  const Result<Cluster> cluster = Cluster::build(spec);
  if (!cluster) return {};
  const RankId first(0), last(cluster->rank_count() - 1);
  const auto cost_to = [&](RankId rank) {
    return exchange_cost(spec.device, path_between(*cluster, first, rank), spec.devices_per_node);
  };
  const LevelCosts costs{cost_to(spec.devices_per_node > 1 ? RankId(1) : first), cost_to(last)};
  return {spec.devices_per_node,
          [costs](const CollectiveShape& shape, std::int64_t elements, std::int64_t element_bytes) {
            return collective_seconds(shape, costs, elements, element_bytes).seconds();
          }};
}

}  // namespace rehearse
