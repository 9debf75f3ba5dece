#include "tools/predict/collectives.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "sim/machine.h"

namespace rehearse {
namespace {

struct IdleMachine {
  explicit IdleMachine(const Cluster& cluster)
      : machine(cluster, cluster.device().messaging, engine) {}
  sim::Engine engine;
  sim::Machine machine;
};

std::vector<RankId> spread(const Cluster& cluster, std::size_t members, std::size_t neighbours) {
  const auto per_node = static_cast<std::size_t>(cluster.spec().devices_per_node);
  const std::size_t on_node = std::clamp<std::size_t>(neighbours, 1, per_node);
  const std::size_t nodes = (members + on_node - 1) / on_node;
  const std::size_t apart = std::max<std::size_t>(1, cluster.node_count() / nodes);
  std::vector<RankId> ranks;
  for (std::size_t m = 0; m < members; ++m) {
    const std::size_t rank = (m / on_node) * apart * per_node + m % on_node;
    ranks.emplace_back(std::min(rank, cluster.rank_count() - members + m));
  }
  return ranks;
}

}  // namespace

CollectivePrice collective_price(const Cluster& cluster) {
  return [&cluster, idle = std::make_shared<IdleMachine>(cluster)](
             const std::vector<RankId>& members, const CollectiveShape& shape,
             std::int64_t elements, std::int64_t element_bytes) {
    return idle->machine.alone(members,
                               sim::footprint_of(cluster, members, shape, elements, element_bytes));
  };
}

CollectiveCosts collective_costs(const ClusterSpec& spec) {
  Result<Cluster> built = Cluster::build(spec);
  if (!built) return {};
  const auto cluster = std::make_shared<Cluster>(*std::move(built));
  using Key = std::tuple<CollectiveShape, std::int64_t, std::int64_t>;
  const auto known = std::make_shared<std::map<Key, double>>();
  const auto seconds = [cluster, known, price = collective_price(*cluster)](
                           const CollectiveShape& shape, std::int64_t elements,
                           std::int64_t element_bytes) {
    const auto [entry, is_new] = known->try_emplace(Key{shape, elements, element_bytes});
    if (is_new) {
      entry->second =
          price(spread(*cluster, shape.members, shape.node_members), shape, elements, element_bytes)
              .seconds();
    }
    return entry->second;
  };
  return {spec.devices_per_node, seconds};
}

}  // namespace rehearse
