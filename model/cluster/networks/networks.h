// The kinds of network: what stands between the nodes. One file and one row each.
#pragma once

#include <vector>

#include "model/base/diagnostic.h"
#include "model/cluster/cluster.h"
#include "model/cluster/wiring.h"

namespace rehearse::networks {

struct Network {
  NetworkKindRow row;
  // Joins the nodes as the spec says. Errors: the network cannot join that many.
  Status (*wire)(const NetworkSpec& spec, const std::vector<VertexId>& nodes, Wiring& wiring);
};

Network crossbar();
Network fat_tree();
Network none();

// All kinds, sorted by name.
const std::vector<Network>& table();

}  // namespace rehearse::networks
