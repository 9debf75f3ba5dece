#include "sim/footprint.h"

#include <algorithm>
#include <map>

namespace rehearse::sim {
namespace {

class Maker {
 public:
  Maker(const Cluster& cluster, const std::vector<RankId>& members, std::int64_t element_bytes)
      : cluster_(cluster), ranks_(members), element_bytes_(element_bytes) {
    made_.members.resize(members.size());
    last_way_.resize(members.size());
  }

  Footprint by_steps(const CollectiveShape& shape, std::int64_t n) {
    const StepLists lists(shape);
    for (std::size_t channel = 0; channel < lists.channels(); ++channel) {
      std::int64_t steps = 0;
      Seconds latency;
      for (std::size_t number = 0; number < lists.count(); ++number) {
        std::optional<Seconds> longest;
        for (std::size_t member = 0; member < ranks_.size(); ++member) {
          const CollectiveStep step = lists.step(member, n, number, channel);
          receive(member, step);
          if (step.send.size() == 0) continue;
          longest = std::max(longest.value_or(Seconds{}), send(member, step));
        }
        if (!longest) continue;
        ++steps;
        latency += *longest;
      }
      made_.steps = std::max(made_.steps, steps);
      made_.latency = std::max(made_.latency, latency);
    }
    return take();
  }

  Footprint in_network(std::int64_t n) {
    const Bytes all = Bytes::bytes(n * element_bytes_);
    for (std::size_t m = 0; m < ranks_.size(); ++m) {
      made_.members[m] = {all, all, {}, 1, 1};
      if (m == 0) continue;
      for (const bool up : {true, false}) {
        const Way& way = up ? way_between(m, 0) : way_between(0, m);
        for (const LinkId link : way.route)
          on_links_[link] = {link, all, occupied(link, all)};
        made_.latency = std::max(made_.latency, way.latency);
      }
    }
    made_.steps = ranks_.size() > 1 && all > Bytes{} ? 1 : 0;
    return take();
  }

 private:
  struct Way {
    Route route;
    Seconds latency;
    bool is_curved = false;  // some link's efficiency depends on the message
    Bytes bytes;             // that go it, where none does
  };

  Way& way_between(std::size_t from, std::size_t to) {
    const auto [known, is_new] = ways_.try_emplace({from, to});
    if (!is_new) return known->second;
    known->second.route = cluster_.route(ranks_[from], ranks_[to]);
    for (const LinkId id : known->second.route) {
      const Link& link = cluster_.links()[id.index()];
      known->second.latency += link.latency;
      known->second.is_curved = known->second.is_curved || !link.efficiency.empty();
    }
    return known->second;
  }

  double occupied(LinkId link, Bytes message) const {
    return static_cast<double>(message.bytes()) /
           efficiency(cluster_.links()[link.index()], message);
  }

  void receive(std::size_t member, const CollectiveStep& step) {
    if (step.receive.size() == 0) return;
    const Bytes bytes = Bytes::bytes(step.receive.size() * element_bytes_);
    Footprint::OfMember& own = made_.members[member];
    own.received += bytes;
    ++own.receives;
    if (step.reduce) own.added += bytes;
  }

  // The latency of its way.
  Seconds send(std::size_t member, const CollectiveStep& step) {
    const Bytes bytes = Bytes::bytes(step.send.size() * element_bytes_);
    made_.members[member].sent += bytes;
    ++made_.members[member].sends;
    // Most members send to one other all the time.
    auto& [to, last] = last_way_[member];
    if (last == nullptr || to != step.to) to = step.to, last = &way_between(member, step.to);
    if (last->is_curved) {
      put_on_links(*last, bytes);
    } else {
      last->bytes += bytes;
    }
    return last->latency;
  }

  void put_on_links(const Way& way, Bytes bytes) {
    for (const LinkId link : way.route) {
      Footprint::OnLink& on_link = on_links_[link];
      on_link.link = link;
      on_link.bytes += bytes;
      on_link.occupied += occupied(link, bytes);
    }
  }

  Footprint take() {
    for (const auto& [ends, way] : ways_) {
      if (way.bytes > Bytes{}) put_on_links(way, way.bytes);
    }
    for (const auto& [link, on_link] : on_links_)
      made_.links.push_back(on_link);
    return std::move(made_);
  }

  const Cluster& cluster_;
  const std::vector<RankId>& ranks_;
  const std::int64_t element_bytes_;
  std::map<std::pair<std::size_t, std::size_t>, Way> ways_;
  std::vector<std::pair<std::size_t, Way*>> last_way_;  // by member: where to
  std::map<LinkId, Footprint::OnLink> on_links_;
  Footprint made_;
};

}  // namespace

Footprint footprint_of(const Cluster& cluster, const std::vector<RankId>& members,
                       const CollectiveShape& shape, std::int64_t n, std::int64_t element_bytes) {
  Maker maker(cluster, members, element_bytes);
  return shape.algorithm == CollectiveAlgorithm::in_network ? maker.in_network(n)
                                                            : maker.by_steps(shape, n);
}

}  // namespace rehearse::sim
