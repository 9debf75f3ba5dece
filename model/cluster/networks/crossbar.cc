#include "model/cluster/networks/networks.h"

namespace rehearse::networks {
namespace {

Status wire(const NetworkSpec& spec, const Ports& ports, Wiring& wiring) {
  const VertexId center = wiring.add_vertex("switch");
  for (const std::vector<VertexId>& of_node : ports) {
    for (const VertexId port : of_node)
      wiring.join(port, center, spec.link);
  }
  return success();
}

}  // namespace

Network crossbar() {
  return {{NetworkKind::crossbar, "one non-blocking switch with a link per node", {"link"}}, wire};
}

}  // namespace rehearse::networks
