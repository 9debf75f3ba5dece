#include "model/cluster/networks/networks.h"

namespace rehearse::networks {
namespace {

Status wire(const NetworkSpec& spec, const Ports& ports, Wiring& wiring) {
  const auto nodes = forwarding_nodes(spec, ports, wiring);
  if (!nodes) return nodes.errors();
  join_grid({std::ssize(*nodes)}, spec.link, *nodes, wiring);
  return success();
}

}  // namespace

Network ring() {
  return {
      {NetworkKind::ring, "a cable from each node to the next, and back to the first", {"link"}},
      wire};
}

}  // namespace rehearse::networks
