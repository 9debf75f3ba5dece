#include <fmt/format.h>

#include "model/base/text.h"
#include "model/cluster/networks/networks.h"

namespace rehearse::networks {
namespace {

Status check(const NetworkSpec& spec, std::size_t nodes) {
  if (spec.dims.empty() || spec.dims.size() > 3)
    return error_about(spec, "dims", "a torus has one to three dimensions");
  std::int64_t product = 1;
  std::vector<std::string> factors;
  for (const std::int64_t dim : spec.dims) {
    if (dim < 1 || dim > kMostDevices)
      return error_about(spec, "dims",
                         fmt::format("a dimension of {} nodes: from 1 to {}", dim, kMostDevices));
    product *= dim;
    factors.push_back(std::to_string(dim));
    if (product > kMostDevices) break;  // and it can be no number of nodes
  }
  if (product == static_cast<std::int64_t>(nodes)) return success();
  return error_about(spec, "dims",
                     fmt::format("{} is {} nodes, but the cluster has {}: 'nodes: {}' would do",
                                 join(factors, " x "), product, nodes, product));
}

Status wire(const NetworkSpec& spec, const Ports& ports, Wiring& wiring) {
  const Status good = check(spec, ports.size());
  if (!good) return good;
  const auto nodes = forwarding_nodes(spec, ports, wiring);
  if (!nodes) return nodes.errors();
  join_grid(spec.dims, spec.link, *nodes, wiring);
  return success();
}

}  // namespace

Result<std::vector<VertexId>> forwarding_nodes(const NetworkSpec& spec, const Ports& ports,
                                               Wiring& wiring) {
  std::vector<VertexId> nodes;
  for (const std::vector<VertexId>& of_node : ports) {
    if (of_node.size() > 1)
      return error_about(spec, "kind",
                         fmt::format("a {} joins each node in one place, but it has {} NICs",
                                     to_string(spec.kind), of_node.size()));
    nodes.push_back(of_node.front());
    wiring.vertices[nodes.back().index()].forwards = Forwards::everything;
  }
  return nodes;
}

void join_grid(const std::vector<std::int64_t>& dims, const LinkSpec& link,
               const std::vector<VertexId>& nodes, Wiring& wiring) {
  std::size_t stride = 1;
  for (const std::int64_t dim : dims) {
    const auto size = static_cast<std::size_t>(dim);
    const auto moved = [&](std::size_t node, std::size_t by) {
      const std::size_t at = node / stride % size;
      return nodes[node + (at + by) % size * stride - at * stride];
    };
    // All links upwards come first: of two equal ways round, every node takes the same.
    for (std::size_t n = 0; size > 1 && n < nodes.size(); ++n)
      wiring.add_link(nodes[n], moved(n, 1), link);
    for (std::size_t n = 0; size > 2 && n < nodes.size(); ++n)
      wiring.add_link(nodes[n], moved(n, size - 1), link);
    stride *= size;
  }
}

Network torus() {
  return {{NetworkKind::torus,
           "a grid of nodes in one to three dimensions, each closed to a ring",
           {"link", "dims"}},
          wire};
}

}  // namespace rehearse::networks
