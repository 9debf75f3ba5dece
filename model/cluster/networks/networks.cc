#include "model/cluster/networks/networks.h"

namespace rehearse::networks {

const std::vector<Network>& table() {
  static const std::vector<Network> rows = {crossbar(),  custom(),     dragonfly(), fat_tree(),
                                            full_mesh(), leaf_spine(), none(),      rail(),
                                            ring(),      torus()};
  return rows;
}

}  // namespace rehearse::networks
