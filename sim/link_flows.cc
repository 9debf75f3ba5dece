#include "sim/link_flows.h"

namespace rehearse::sim {

void LinkFlows::watch(const std::vector<LinkId>& watched, std::size_t links) {
  if (watched.empty()) return;
  is_watched_.resize(links);
  for (const LinkId link : watched)
    is_watched_[link.index()] = true;
}

}  // namespace rehearse::sim
