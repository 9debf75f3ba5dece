#include <fmt/format.h>

#include "model/cluster/networks/networks.h"

namespace rehearse::networks {
namespace {

Status check(const NetworkSpec& spec, std::size_t nodes) {
  if (spec.nodes_per_leaf < 1)
    return error_about(spec, "nodes_per_leaf", "a leaf switch has one node or more");
  if (spec.spines < 1) return error_about(spec, "spines", "there is one spine or more");
  const Status uplink = spec.uplink ? check_link("network's uplink", *spec.uplink) : success();
  if (!uplink) return uplink;
  const double leaves = static_cast<double>(nodes) / static_cast<double>(spec.nodes_per_leaf);
  return check_link_count(2 * (leaves + 1) * static_cast<double>(spec.spines), "this leaf-spine");
}

Status wire(const NetworkSpec& spec, const Ports& ports, Wiring& wiring) {
  const Status good = check(spec, ports.size());
  if (!good) return good;
  const auto per_leaf = static_cast<std::size_t>(spec.nodes_per_leaf);
  std::vector<VertexId> leaves;
  for (std::size_t n = 0; n < ports.size(); ++n) {
    if (n % per_leaf == 0) leaves.push_back(wiring.add_vertex(fmt::format("leaf{}", n / per_leaf)));
    for (const VertexId port : ports[n])
      wiring.join(port, leaves.back(), spec.link);
  }
  for (std::int64_t s = 0; s < spec.spines; ++s) {
    const VertexId spine = wiring.add_vertex(fmt::format("spine{}", s));
    for (const VertexId leaf : leaves)
      wiring.join(leaf, spine, spec.uplink.value_or(spec.link));
  }
  return success();
}

}  // namespace

Network leaf_spine() {
  return {{NetworkKind::leaf_spine,
           "leaf switches of nodes_per_leaf nodes, each with an uplink to every spine",
           {"link", "nodes_per_leaf", "spines", "uplink"}},
          wire};
}

}  // namespace rehearse::networks
