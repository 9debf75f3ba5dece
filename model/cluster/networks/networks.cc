#include "model/cluster/networks/networks.h"

namespace rehearse::networks {

const std::vector<Network>& table() {
  static const std::vector<Network> rows = {crossbar(), fat_tree(), none()};
  return rows;
}

}  // namespace rehearse::networks
