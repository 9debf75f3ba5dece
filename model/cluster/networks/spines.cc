#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "model/cluster/networks/networks.h"

namespace rehearse::networks {

Status check_leaves(const NetworkSpec& spec) {
  constexpr double kMost = 1000;  // more is of no machine
  if (!(spec.oversubscription >= 1 && spec.oversubscription <= kMost))
    return error_about(spec, "oversubscription",
                       fmt::format("oversubscription {:g}: from 1, where a leaf has the bandwidth "
                                   "of its nodes upwards, to {:g}",
                                   spec.oversubscription, kMost));
  if (spec.nodes_per_leaf < 1)
    return error_about(spec, "nodes_per_leaf", "a leaf switch has one node or more");
  return success();
}

// As many of them as a leaf has bandwidth upwards in units of a port's link, rounded up, so that
// the links to them share exactly that bandwidth.
void add_spines(const NetworkSpec& spec, std::int64_t ports_per_leaf,
                const std::vector<VertexId>& leaves, Wiring& wiring) {
  if (leaves.size() == 1) return;
  const double upwards = static_cast<double>(ports_per_leaf) / spec.oversubscription;
  const double count = std::max(1.0, std::ceil(upwards));
  LinkSpec uplink = spec.link;
  uplink.bandwidth = uplink.bandwidth * (upwards / count);
  for (std::int64_t s = 0; s < static_cast<std::int64_t>(count); ++s) {
    const VertexId spine = wiring.add_vertex(fmt::format("spine{}", s));
    for (const VertexId leaf : leaves)
      wiring.join(leaf, spine, uplink);
  }
}

}  // namespace rehearse::networks
