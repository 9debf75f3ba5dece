#include <fmt/format.h>

#include "model/cluster/networks/networks.h"

namespace rehearse::networks {
namespace {

Status wire(const NetworkSpec& spec, const Ports& ports, Wiring& wiring) {
  const Status good = check_leaves(spec);
  if (!good) return good;
  const auto per_leaf = static_cast<std::size_t>(spec.nodes_per_leaf);
  std::vector<VertexId> leaves;
  for (std::size_t n = 0; n < ports.size(); ++n) {
    if (n % per_leaf == 0) leaves.push_back(wiring.add_vertex(fmt::format("leaf{}", n / per_leaf)));
    for (const VertexId port : ports[n])
      wiring.join(port, leaves.back(), spec.link);
  }
  add_spines(spec, spec.nodes_per_leaf * std::ssize(ports.front()), leaves, wiring);
  return success();
}

}  // namespace

Network fat_tree() {
  return {{NetworkKind::fat_tree,
           "leaf switches of nodes_per_leaf nodes under spines",
           {"link", "nodes_per_leaf", "oversubscription"}},
          wire};
}

}  // namespace rehearse::networks
