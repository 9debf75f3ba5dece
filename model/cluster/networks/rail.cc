#include <fmt/format.h>

#include <algorithm>

#include "model/cluster/networks/networks.h"

namespace rehearse::networks {
namespace {

Status wire(const NetworkSpec& spec, const Ports& ports, Wiring& wiring) {
  const Status good = check_leaves(spec);
  if (!good) return good;
  const auto per_leaf = static_cast<std::size_t>(spec.nodes_per_leaf);
  std::vector<VertexId> leaves;
  for (std::size_t r = 0; r < ports.front().size(); ++r) {
    for (std::size_t n = 0; n < ports.size(); ++n) {
      if (n % per_leaf == 0)
        leaves.push_back(wiring.add_vertex(fmt::format("rail{}.leaf{}", r, n / per_leaf)));
      const VertexId port = ports[n][r];
      wiring.join(port, leaves.back(), spec.link);
      // Successive nodes of a rail are successive destinations, so that they spread over spines.
      wiring.numbers[port.index()] = r * ports.size() + n;
    }
  }
  const auto nodes = static_cast<std::int64_t>(ports.size());
  add_spines(spec, std::min(spec.nodes_per_leaf, nodes), leaves, wiring);
  return success();
}

}  // namespace

Network rail() {
  return {{NetworkKind::rail,
           "NIC r of every node under the leaf switches of rail r, spines over all",
           {"link", "nodes_per_leaf", "oversubscription"}},
          wire};
}

}  // namespace rehearse::networks
