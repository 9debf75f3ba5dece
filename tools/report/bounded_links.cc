#include "tools/report/bounded_links.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "tools/sweep/ranking.h"

namespace rehearse {

std::vector<LinkKind> kinds_of(const std::vector<LinkSummary>& links) {
  std::vector<LinkKind> kinds;
  std::map<std::string, std::size_t> numbers;
  for (const LinkSummary& link : links) {
    const std::string name = sweep::without_numbers(link.name);
    const auto [place, is_new] = numbers.try_emplace(name, kinds.size());
    if (is_new) kinds.push_back({name, 0, {}, 0, 0});
    LinkKind& kind = kinds[place->second];
    ++kind.links;
    kind.bytes += link.bytes;
    kind.mean += link.utilisation;
    kind.most = std::max(kind.most, link.utilisation);
  }
  for (LinkKind& kind : kinds)
    kind.mean /= static_cast<double>(kind.links);
  return kinds;
}

std::vector<LinkSummary> busiest(const std::vector<LinkSummary>& links, std::size_t most) {
  if (links.size() <= most) return links;
  std::vector<std::size_t> order(links.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return links[a].utilisation > links[b].utilisation;
  });
  order.resize(most);
  std::sort(order.begin(), order.end());
  std::vector<LinkSummary> kept;
  for (const std::size_t link : order)
    kept.push_back(links[link]);
  return kept;
}

}  // namespace rehearse
