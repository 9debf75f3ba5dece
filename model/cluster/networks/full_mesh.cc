#include <fmt/format.h>

#include "model/cluster/networks/networks.h"

namespace rehearse::networks {
namespace {

Status wire(const NetworkSpec& spec, const Ports& ports, Wiring& wiring) {
  const auto count = static_cast<double>(ports.size());
  const Status good =
      check_link_count(count * (count - 1), fmt::format("a full mesh of {} nodes", ports.size()));
  if (!good) return good;
  const auto nodes = forwarding_nodes(spec, ports, wiring);
  if (!nodes) return nodes.errors();
  for (std::size_t a = 0; a < nodes->size(); ++a) {
    for (std::size_t b = a + 1; b < nodes->size(); ++b)
      wiring.connect((*nodes)[a], (*nodes)[b], spec.link);
  }
  return success();
}

}  // namespace

Network full_mesh() {
  return {{NetworkKind::full_mesh, "a cable between every two nodes", {"link"}}, wire};
}

}  // namespace rehearse::networks
