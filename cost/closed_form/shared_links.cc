#include "cost/closed_form/shared_links.h"

#include <algorithm>
#include <map>

namespace rehearse {

void LinkUses::add(const Flow& flow, const Messages& messages,
                   const std::vector<std::size_t>& kinds) {
  const auto& links = routes_.cluster().links();
  const auto use_of = [&](LinkId link) -> SharedLink::Use& {
    auto& uses = of_links_[link.index()];
    if (uses.empty() || uses.back().flow != flow) uses.push_back({flow});
    return uses.back();
  };
  const std::vector<const Route*> ways = routes_.of(messages);
  for (const Route* route : ways) {
    for (const LinkId link : *route)
      ++use_of(link).messages;
  }
  for (std::size_t m = 0; m < kinds.size(); ++m) {
    for (const LinkId link : *ways[m]) {
      std::vector<std::int64_t>& of_kinds = use_of(link).of_kinds;
      of_kinds.resize(std::max(of_kinds.size(), kinds[m] + 1), 0);
      ++of_kinds[kinds[m]];
    }
  }
  for (const Route* route : ways) {
    const auto bandwidth = [&](LinkId link) {
      return links[link.index()].bandwidth.bytes_per_second();
    };
    double rate = 0;
    for (const LinkId link : *route) {
      const double own = bandwidth(link) / static_cast<double>(use_of(link).messages);
      rate = rate > 0 ? std::min(rate, own) : own;
    }
    for (const LinkId link : *route)
      use_of(link).share += rate / bandwidth(link);
  }
}

std::vector<SharedLink> LinkUses::shared() const {
  constexpr double kAll = 1 + 1e-6;
  std::map<std::pair<std::size_t, std::vector<SharedLink::Use>>, BytesPerSecond> different;
  for (std::size_t link = 0; link < of_links_.size(); ++link) {
    double sum = 0;
    for (const SharedLink::Use& use : of_links_[link])
      sum += (is_between_stages(use.flow) || use.flow.kind == FlowKind::tensor ? 1 : 2) * use.share;
    if (sum > kAll)
      different.try_emplace({routes_.spec_of(LinkId(link)), of_links_[link]},
                            routes_.cluster().links()[link].bandwidth);
  }
  std::vector<SharedLink> made;
  for (const auto& [key, bandwidth] : different)
    made.push_back({bandwidth, key.second});
  return made;
}

}  // namespace rehearse
