#include "model/cluster/networks/networks.h"

namespace rehearse::networks {
namespace {

Status wire(const NetworkSpec& spec, const std::vector<VertexId>& nodes, Wiring& wiring) {
  const VertexId center = wiring.add_vertex("switch");
  for (const VertexId node : nodes)
    wiring.join(node, center, spec.link);
  return success();
}

}  // namespace

Network crossbar() {
  return {{NetworkKind::crossbar, "one non-blocking switch with a link per node"}, wire};
}

}  // namespace rehearse::networks
