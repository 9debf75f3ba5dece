#include "model/cluster/topologies.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace rehearse {

VertexId Wiring::add_vertex(std::string name) {
  vertices.push_back({std::move(name)});
  return VertexId(vertices.size() - 1);
}

void Wiring::join(VertexId a, VertexId b, const LinkSpec& link) {
  const auto add = [&](VertexId from, VertexId to) {
    links.push_back({fmt::format("{}->{}", vertices[from.index()].name, vertices[to.index()].name), from, to,
                     link.bandwidth, link.latency});
  };
  add(a, b);
  add(b, a);
}

Status wire_none(const NetworkSpec&, const std::vector<VertexId>& nodes, Wiring&) {
  if (nodes.size() == 1) return success();
  return error(fmt::format("{} nodes need a network", nodes.size()));
}

Status wire_crossbar(const NetworkSpec& network, const std::vector<VertexId>& nodes, Wiring& wiring) {
  const VertexId center = wiring.add_vertex("switch");
  for (const VertexId node : nodes) wiring.join(node, center, network.link);
  return success();
}

// As many spines as a leaf has bandwidth upwards in units of a node's link, rounded up; the links to
// them share exactly that bandwidth.
Status wire_fat_tree(const NetworkSpec& network, const std::vector<VertexId>& nodes, Wiring& wiring) {
  const auto per_leaf = static_cast<double>(network.nodes_per_leaf);
  const double upwards = per_leaf / network.oversubscription;
  const auto spine_count = static_cast<std::size_t>(std::max(1.0, std::ceil(upwards)));
  const LinkSpec uplink = {network.link.bandwidth * (upwards / static_cast<double>(spine_count)), network.link.latency};
  const auto leaf_size = static_cast<std::size_t>(network.nodes_per_leaf);
  const std::size_t leaf_count = (nodes.size() + leaf_size - 1) / leaf_size;
  std::vector<VertexId> leaves;
  for (std::size_t l = 0; l < leaf_count; ++l) leaves.push_back(wiring.add_vertex(fmt::format("leaf{}", l)));
  for (std::size_t n = 0; n < nodes.size(); ++n) wiring.join(nodes[n], leaves[n / leaf_size], network.link);
  if (leaf_count == 1) return success();
  for (std::size_t s = 0; s < spine_count; ++s) {
    const VertexId spine = wiring.add_vertex(fmt::format("spine{}", s));
    for (const VertexId leaf : leaves) wiring.join(leaf, spine, uplink);
  }
  return success();
}

}  // namespace rehearse
