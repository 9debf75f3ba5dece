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

CollectivePrice collective_price(const Cluster& cluster) {
  return [&cluster](const std::vector<RankId>& members, const CollectiveShape& shape,
                    std::int64_t elements, std::int64_t element_bytes) {
    const ClusterSpec& spec = cluster.spec();
    const auto cost = [&](const Path& path) {
      return exchange_cost(cluster.device(members.front()), path, spec.devices_per_node);
    };
    Path near, far;
    bool has_near = false, has_far = false;
    for (std::size_t m = 0; m < members.size(); ++m) {
      const RankId from = members[m], to = members[(m + 1) % members.size()];
      const Path path = path_between(cluster, from, to);
      const bool is_near = cluster.node_of(from) == cluster.node_of(to);
      if (is_near && !has_near) near = path, has_near = true;
      if (is_near) continue;
      const bool slower = !has_far || path.latency > far.latency;
      far.latency = slower ? path.latency : far.latency;
      far.bandwidth = !far.bandwidth   ? path.bandwidth
                      : path.bandwidth ? std::min(*far.bandwidth, *path.bandwidth)
                                       : *far.bandwidth;
      has_far = true;
    }
    if (!has_near) near = far;
    if (!has_far) far = near;
    CollectiveShape laid_out = shape;
    if (shape.algorithm != CollectiveAlgorithm::hierarchical) {
      laid_out.node_members =
          layout_of({Group{members}}, spec.devices_per_node).node_members.value_or(1);
    }
    return collective_seconds(laid_out, {cost(near), cost(far)}, elements, element_bytes);
  };
}

}  // namespace rehearse
