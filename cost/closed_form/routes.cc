#include "cost/closed_form/routes.h"

#include <algorithm>

namespace rehearse {

Routes::Routes(const Cluster& cluster) : cluster_(cluster) {
  std::vector<const LinkSpec*> different;
  for (const Link& link : cluster.links()) {
    const auto found = std::find_if(different.begin(), different.end(),
                                    [&](const LinkSpec* spec) { return *spec == link; });
    specs_.push_back(static_cast<std::size_t>(found - different.begin()));
    if (found == different.end()) different.push_back(&link);
  }
}

const Route& Routes::of(RankId from, RankId to) {
  const auto [known, is_new] =
      known_.try_emplace(std::uint64_t{from.value()} * cluster_.rank_count() + to.value());
  if (is_new) known->second = cluster_.route(from, to);
  return known->second;
}

std::vector<const Route*> Routes::of(const Messages& messages) {
  std::vector<const Route*> ways;
  ways.reserve(messages.size());
  for (const auto& [from, to] : messages)
    ways.push_back(&of(from, to));
  return ways;
}

}  // namespace rehearse
