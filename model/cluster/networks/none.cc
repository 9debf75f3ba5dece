#include <fmt/format.h>

#include "model/cluster/networks/networks.h"

namespace rehearse::networks {
namespace {

Status wire(const NetworkSpec&, const Ports& ports, Wiring&) {
  if (ports.size() == 1) return success();
  return error(fmt::format("{} nodes need a network", ports.size()));
}

}  // namespace

Network none() {
  return {{NetworkKind::none, "no network: one node", {}}, wire};
}

}  // namespace rehearse::networks
