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
  Status (*wire)(const NetworkSpec& spec, const Ports& ports, Wiring& wiring);
};

Network crossbar();
Network custom();
Network dragonfly();
Network fat_tree();
Network full_mesh();
Network leaf_spine();
Network none();
Network rail();
Network ring();
Network torus();

// All kinds, sorted by name.
const std::vector<Network>& table();

// Numbers that fat_tree and rail have in common.
Status check_leaves(const NetworkSpec& spec);
// Spines over leaves that join so many ports with spec.link, each with that bandwidth divided by
// the oversubscription upwards. One leaf needs none.
void add_spines(const NetworkSpec& spec, std::int64_t ports_per_leaf,
                const std::vector<VertexId>& leaves, Wiring& wiring);

// The one place where each node is joined by its direct links, which forwards from now on. Errors:
// nodes with several NICs.
Result<std::vector<VertexId>> forwarding_nodes(const NetworkSpec& spec, const Ports& ports,
                                               Wiring& wiring);
// A ring along every dimension, of which the first one's neighbours are next to each other in
// `nodes`; a cable where there are two, none where there is one.
void join_grid(const std::vector<std::int64_t>& dims, const LinkSpec& link,
               const std::vector<VertexId>& nodes, Wiring& wiring);

}  // namespace rehearse::networks
