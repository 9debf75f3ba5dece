#include "cost/closed_form/paths.h"

#include <algorithm>
#include <map>

namespace rehearse {

Paths::Paths(Routes& routes, const Messages& messages)
    : Paths(NumberedPaths(routes, messages).paths) {}

NumberedPaths::NumberedPaths(Routes& routes, const Messages& messages) {
  const auto& links = routes.cluster().links();
  std::vector<std::int64_t> load(links.size(), 0);
  const std::vector<const Route*> routes_of = routes.of(messages);
  for (const Route* route : routes_of) {
    for (const LinkId link : *route)
      paths.most_shared_ = std::max(paths.most_shared_, ++load[link.index()]);
  }
  // By link of the way: its spec, and messages on it.
  std::map<std::vector<std::pair<std::size_t, std::int64_t>>, std::size_t> known;
  for (const Route* route : routes_of) {
    std::vector<std::pair<std::size_t, std::int64_t>> kind;
    for (const LinkId id : *route)
      kind.emplace_back(routes.spec_of(id), load[id.index()]);
    const auto [number, is_new] = known.try_emplace(std::move(kind));
    if (is_new) {
      Paths::Way way;
      for (const LinkId id : *route) {
        const LinkSpec& link = links[id.index()];
        way.latency += link.latency;
        const std::pair<LinkSpec, std::int64_t> shared(link, load[id.index()]);
        if (std::find(way.links.begin(), way.links.end(), shared) == way.links.end())
          way.links.push_back(shared);
      }
      const auto alike = std::find(paths.ways_.begin(), paths.ways_.end(), way);
      number->second = static_cast<std::size_t>(alike - paths.ways_.begin());
      if (alike == paths.ways_.end()) paths.ways_.push_back(std::move(way));
    }
    ways.push_back(number->second);
  }
}

Paths Paths::only(const std::vector<std::size_t>& ways) const {
  Paths made;
  made.most_shared_ = most_shared_;
  for (const std::size_t way : ways)
    made.ways_.push_back(ways_[way]);
  return made;
}

// As much as a message of its size reaches alone, and no more than its share.
std::optional<BytesPerSecond> Paths::Way::rate(Bytes bytes) const {
  std::optional<BytesPerSecond> slowest;
  for (const auto& [link, messages] : links) {
    const double reached = std::min(efficiency(link, bytes), 1.0 / static_cast<double>(messages));
    const auto rate = BytesPerSecond::bytes_per_second(link.bandwidth.bytes_per_second() * reached);
    if (!slowest || rate < *slowest) slowest = rate;
  }
  return slowest;
}

MessageCost Paths::exchange(const Device& device, Bytes bytes,
                            const MessageProtocol* protocol) const {
  MessageCost dearest;
  Seconds most = Seconds::seconds(-1);
  for (const Way& way : ways_) {
    const MessageCost cost = exchange_cost(device, {way.latency, way.rate(bytes)}, 1, protocol);
    const Seconds seconds = send_seconds(cost, bytes);
    if (seconds > most) dearest = cost, most = seconds;
  }
  return dearest;
}

Seconds Paths::message(const Device& device, Bytes bytes) const {
  return send_seconds(exchange(device, bytes), bytes);
}

}  // namespace rehearse
