#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "model/cluster/networks/networks.h"

namespace rehearse::networks {
namespace {

// How a leaf reaches the spines: as many of them as it has bandwidth upwards in units of a node's
// link, rounded up, so that the links to them share exactly that bandwidth.
struct Uplinks {
  std::int64_t count;
  LinkSpec link;
};

Uplinks uplinks_of(const NetworkSpec& spec) {
  const double upwards = static_cast<double>(spec.nodes_per_leaf) / spec.oversubscription;
  const double count = std::max(1.0, std::ceil(upwards));
  return {static_cast<std::int64_t>(count),
          {spec.link.bandwidth * (upwards / count), spec.link.latency}};
}

Status wire(const NetworkSpec& spec, const std::vector<VertexId>& nodes, Wiring& wiring) {
  const auto per_leaf = static_cast<std::size_t>(spec.nodes_per_leaf);
  std::vector<VertexId> leaves;
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    if (n % per_leaf == 0) leaves.push_back(wiring.add_vertex(fmt::format("leaf{}", n / per_leaf)));
    wiring.join(nodes[n], leaves.back(), spec.link);
  }
  if (leaves.size() == 1) return success();
  const Uplinks uplinks = uplinks_of(spec);
  for (std::int64_t s = 0; s < uplinks.count; ++s) {
    const VertexId spine = wiring.add_vertex(fmt::format("spine{}", s));
    for (const VertexId leaf : leaves)
      wiring.join(leaf, spine, uplinks.link);
  }
  return success();
}

}  // namespace

Network fat_tree() {
  return {{NetworkKind::fat_tree, "leaf switches of nodes_per_leaf nodes under spines"}, wire};
}

}  // namespace rehearse::networks
