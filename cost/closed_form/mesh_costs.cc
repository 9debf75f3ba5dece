#include "cost/closed_form/mesh_costs.h"

#include <algorithm>
#include <set>

#include "model/schedule/mesh_place.h"

namespace rehearse {

using Messages = std::vector<std::pair<RankId, RankId>>;

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

Paths::Paths(Routes& routes, const Messages& messages) {
  const auto& links = routes.cluster().links();
  std::vector<std::int64_t> load(links.size(), 0);
  for (const auto& [from, to] : messages) {
    for (const LinkId link : routes.of(from, to))
      most_shared_ = std::max(most_shared_, ++load[link.index()]);
  }
  // By link of the way: its spec, and messages on it.
  std::set<std::vector<std::pair<std::size_t, std::int64_t>>> known;
  for (const auto& [from, to] : messages) {
    const Route& route = routes.of(from, to);
    std::vector<std::pair<std::size_t, std::int64_t>> kind;
    for (const LinkId id : route)
      kind.emplace_back(routes.spec_of(id), load[id.index()]);
    if (!known.insert(std::move(kind)).second) continue;
    Way way;
    for (const LinkId id : route) {
      const LinkSpec& link = links[id.index()];
      way.latency += link.latency;
      const std::pair<LinkSpec, std::int64_t> shared(link, load[id.index()]);
      if (std::find(way.links.begin(), way.links.end(), shared) == way.links.end())
        way.links.push_back(shared);
    }
    if (std::find(ways_.begin(), ways_.end(), way) == ways_.end()) ways_.push_back(std::move(way));
  }
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

RingCost ring_cost(const RingGroup& group, CollectiveKind kind, const Device& device,
                   std::int64_t elements, std::int64_t element_bytes) {
  if (group.members == 1 || elements == 0) return {};
  const CollectiveShape shape{kind, CollectiveAlgorithm::ring, group.members};
  const auto c = static_cast<std::int64_t>(group.members);
  const Bytes chunk = Bytes::bytes((elements + c - 1) / c * element_bytes);
  const auto start = [&](const MessageProtocol* protocol) {
    return start_seconds(device, shape, elements, element_bytes, protocol);
  };
  const FastestProtocol fastest = fastest_protocol(device, [&](const MessageProtocol* protocol) {
    const MessageCost cost = group.paths.exchange(device, chunk, protocol);
    return start(protocol) + collective_seconds(shape, cost, elements, element_bytes);
  });
  return {fastest.seconds, start(fastest.protocol),
          group.paths.exchange(device, chunk, fastest.protocol),
          rehearse::rate_share(fastest.protocol)};
}

Seconds ring_seconds(const RingGroup& group, CollectiveKind kind, const Device& device,
                     std::int64_t elements, std::int64_t element_bytes) {
  return ring_cost(group, kind, device, elements, element_bytes).seconds;
}

void Crossed::add(LinkId link) {
  const std::size_t word = link.index() / kBits;
  if (word >= words_.size()) words_.resize(word + 1, 0);
  words_[word] |= Word{1} << link.index() % kBits;
}

void Crossed::add(const Crossed& others) {
  words_.resize(std::max(words_.size(), others.words_.size()), 0);
  for (std::size_t w = 0; w < others.words_.size(); ++w)
    words_[w] |= others.words_[w];
}

bool Crossed::meets(const Crossed& others) const {
  for (std::size_t w = 0; w < std::min(words_.size(), others.words_.size()); ++w) {
    if ((words_[w] & others.words_[w]) != 0) return true;
  }
  return false;
}

namespace {

void cross(Routes& routes, const Messages& messages, Crossed& crossed) {
  for (const auto& [from, to] : messages) {
    for (const LinkId link : routes.of(from, to))
      crossed.add(link);
  }
}

}  // namespace

RingGroup ring_of(Routes& routes, const std::vector<std::vector<RankId>>& groups,
                  Crossed& crossed) {
  const std::size_t members = groups.front().size();
  if (members == 1) return {};
  Messages messages;
  for (const auto& group : groups) {
    for (std::size_t m = 0; m < members; ++m)
      messages.emplace_back(group[m], group[(m + 1) % members]);
  }
  cross(routes, messages, crossed);
  return {members, Paths(routes, messages)};
}

namespace {

class MeshWalk {
 public:
  MeshWalk(Routes& routes, const Mesh& mesh) : routes_(routes), mesh_(mesh) {}

  MeshCosts run() {
    costs_.tensor = ring(tensor_groups(), exchanges_);
    for (std::int64_t r = 0; r < mesh_.pipeline; ++r) {
      Crossed own;
      costs_.holders.push_back(ring(holder_groups({r}, false), own));
      meet_others(own);
      costs_.partial_holders.push_back(ring(holder_groups({r}, true), partial_));
      const std::int64_t next = (r + 1) % mesh_.pipeline;
      Crossed& forward = forward_.emplace_back();
      Crossed& backward = backward_.emplace_back();
      costs_.forward.push_back(between(r, next, forward));
      costs_.backward.push_back(between(next, r, backward));
      between_.add(forward);
      between_.add(backward);
    }
    costs_.messages_meet = do_messages_meet();
    if (mesh_.pipeline > 1) {
      costs_.tied = ring(holder_groups({0, mesh_.pipeline - 1}, false), partial_);
      costs_.partial_tied = ring(holder_groups({0, mesh_.pipeline - 1}, true), partial_);
    }
    costs_.all = all_ranks();
    costs_.exchanges_meet_messages = exchanges_.meets(between_);
    costs_.reductions_meet_exchanges = reductions_.meets(exchanges_);
    costs_.reductions_meet_messages = reductions_.meets(between_);
    costs_.exchanges = exchanges_;
    costs_.between = between_;
    note_alike();
    return std::move(costs_);
  }

 private:
  using Groups = std::vector<std::vector<RankId>>;

  // One after the other the workers of a data-parallel replica.
  template <class Visit>
  void each_replica(Visit visit) const {
    MeshPlace place;
    for (place.data = 0; place.data < mesh_.data; ++place.data) {
      for (place.worker = 0; place.worker < mesh_.workers; ++place.worker)
        visit(place);
    }
  }

  Groups tensor_groups() const {
    Groups groups;
    each_replica([&](MeshPlace place) {
      for (place.pipeline = 0; place.pipeline < mesh_.pipeline; ++place.pipeline) {
        auto& group = groups.emplace_back();
        for (place.tensor = 0; place.tensor < mesh_.tensor; ++place.tensor)
          group.push_back(rank_at(mesh_, place));
      }
    });
    return groups;
  }

  // In the order of a plan's groups: by data replica, then rank of the pipeline, then slice.
  Groups holder_groups(const std::vector<std::int64_t>& stages, bool partial) const {
    Groups groups(partial ? 1 : static_cast<std::size_t>(mesh_.tensor));
    each_replica([&](MeshPlace place) {
      for (const std::int64_t stage : stages) {
        place.pipeline = stage;
        for (place.tensor = 0; place.tensor < mesh_.tensor; ++place.tensor)
          groups[partial ? 0 : static_cast<std::size_t>(place.tensor)].push_back(
              rank_at(mesh_, place));
      }
    });
    return groups;
  }

  RingGroup ring(const Groups& groups, Crossed& crossed) {
    return ring_of(routes_, groups, crossed);
  }

  bool do_messages_meet() const {
    const std::size_t ranks = forward_.size();
    for (std::size_t r = 0; ranks > 1 && r < ranks; ++r) {
      const std::size_t before = (r + ranks - 1) % ranks;
      if (forward_[before].meets(backward_[r]) || forward_[r].meets(backward_[before])) return true;
    }
    return false;
  }

  Paths between(std::int64_t from, std::int64_t to, Crossed& crossed) {
    if (from == to) return {};
    Messages messages;
    each_replica([&](MeshPlace place) {
      for (place.tensor = 0; place.tensor < mesh_.tensor; ++place.tensor) {
        MeshPlace other = place;
        place.pipeline = from, other.pipeline = to;
        messages.emplace_back(rank_at(mesh_, place), rank_at(mesh_, other));
      }
    });
    cross(routes_, messages, crossed);
    return {routes_, messages};
  }

  void note_alike() {
    for (std::size_t r = 0; r < costs_.holders.size(); ++r) {
      std::size_t first = 0;
      while (!(costs_.holders[first] == costs_.holders[r] &&
               costs_.partial_holders[first] == costs_.partial_holders[r]))
        ++first;
      costs_.like.push_back(first);
    }
  }

  void meet_others(const Crossed& own) {
    const std::size_t rank = of_ranks_.size();
    costs_.reductions_meet.emplace_back();
    for (std::size_t other = 0; other < rank; ++other) {
      if (!own.meets(of_ranks_[other])) continue;
      costs_.reductions_meet[rank].push_back(other);
      costs_.reductions_meet[other].push_back(rank);
    }
    reductions_.add(own);
    of_ranks_.push_back(own);
  }

  NearAndFar all_ranks() {
    const auto ranks = static_cast<std::uint32_t>(mesh_.ranks());
    if (ranks == 1) return {};
    NearAndFar all;
    all.far = {ranks, Paths(routes_, {{RankId(0), RankId(ranks - 1)}})};
    const auto own = static_cast<std::uint32_t>(routes_.cluster().spec().devices_per_node);
    all.node_ranks = std::min(own, ranks);
    Messages messages;
    for (std::uint32_t distance = 1; 2 * distance <= all.node_ranks; distance *= 2)
      messages.emplace_back(RankId(0), RankId(distance));
    if (!messages.empty()) all.near = Paths(routes_, messages);
    return all;
  }

  Routes& routes_;
  const Mesh& mesh_;
  MeshCosts costs_;
  Crossed exchanges_, between_, reductions_;  // by their messages
  Crossed partial_;                           // ... by few and small ones
  std::vector<Crossed> of_ranks_;             // reductions, by rank of the pipeline
  std::vector<Crossed> forward_, backward_;   // messages, by rank of the pipeline
};

}  // namespace

const RingGroup& holders_of(const MeshCosts& mesh, const HeldClass& held, std::size_t rank) {
  if (held.is_tied) return held.is_partial ? mesh.partial_tied : mesh.tied;
  return (held.is_partial ? mesh.partial_holders : mesh.holders)[rank];
}

MeshCosts mesh_costs(Routes& routes, const Mesh& mesh) {
  return MeshWalk(routes, mesh).run();
}

}  // namespace rehearse
