#include "cost/closed_form/mesh_costs.h"

#include <algorithm>
#include <map>

#include "model/schedule/mesh_place.h"

namespace rehearse {

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

Messages around(const std::vector<std::vector<RankId>>& groups) {
  Messages messages;
  for (const auto& group : groups) {
    for (std::size_t m = 0; group.size() > 1 && m < group.size(); ++m)
      messages.emplace_back(group[m], group[(m + 1) % group.size()]);
  }
  return messages;
}

RingGroup ring_of(Routes& routes, const std::vector<std::vector<RankId>>& groups,
                  Crossed& crossed) {
  const Messages messages = around(groups);
  if (messages.empty()) return {};
  cross(routes, messages, crossed);
  return {groups.front().size(), Paths(routes, messages)};
}

namespace {

constexpr double kWhole = 1 + 1e-6;

// What meets on a link that cannot take all of it at once.
class Meetings {
 public:
  Meetings(MeshCosts& costs, const SharedLink& link) : costs_(costs), link_(link) {
    for (const SharedLink::Use& use : link.uses) {
      const bool wraps = use.flow.rank + 1 == costs.held.size();
      if (is_between_stages(use.flow)) {
        messages_ += use.share;
        if (!wraps) inner_ += use.share;
      } else if (use.flow.kind == FlowKind::tensor) {
        exchanges_ += use.share;
      } else if (use.flow.kind == FlowKind::holders) {
        reductions_ += use.share;
      }
    }
  }

  void note() {
    hold(costs_.held_wrapping, messages_, true);
    hold(costs_.held, inner_, false);
    costs_.messages_meet_others |= messages_ > kWhole && !have_a_common_end();
    if (reductions_ > kWhole) meet_others();
    if (messages_ + exchanges_ + reductions_ <= kWhole) return;
    const bool messages = messages_ > 0, exchanges = exchanges_ > 0, reductions = reductions_ > 0;
    costs_.exchanges_meet_messages |= exchanges && messages;
    costs_.reductions_meet_exchanges |= reductions && exchanges;
    costs_.reductions_meet_messages |= reductions && messages;
  }

 private:
  bool have_a_common_end() const {
    const std::size_t ranks = costs_.held.size();
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      const bool all = std::all_of(link_.uses.begin(), link_.uses.end(), [&](const auto& use) {
        return !is_between_stages(use.flow) || use.flow.rank == rank ||
               (use.flow.rank + 1) % ranks == rank;
      });
      if (all) return true;
    }
    return false;
  }

  // Both ends of each.
  void hold(std::vector<double>& held, double sum, bool wraps) {
    for (const SharedLink::Use& use : link_.uses) {
      const std::size_t next = (use.flow.rank + 1) % held.size();
      if (!is_between_stages(use.flow) || (next == 0 && !wraps)) continue;
      for (const std::size_t rank : {use.flow.rank, next})
        held[rank] = std::max(held[rank], sum > kWhole ? sum - 1 : 0);
    }
  }

  void meet_others() {
    for (const SharedLink::Use& one : link_.uses) {
      for (const SharedLink::Use& other : link_.uses) {
        const bool are_reductions =
            one.flow.kind == FlowKind::holders && other.flow.kind == FlowKind::holders;
        if (!are_reductions || one.flow == other.flow) continue;
        auto& known = costs_.reductions_meet[one.flow.rank];
        if (std::find(known.begin(), known.end(), other.flow.rank) == known.end())
          known.push_back(other.flow.rank);
      }
    }
  }

  MeshCosts& costs_;
  const SharedLink& link_;
  double messages_ = 0, inner_ = 0, exchanges_ = 0, reductions_ = 0;
};

void note_meetings(MeshCosts& costs) {
  const std::size_t ranks = costs.holders.size();
  costs.held.assign(ranks, 0);
  costs.held_wrapping.assign(ranks, 0);
  costs.reductions_meet.resize(ranks);
  for (const SharedLink& link : costs.shared)
    Meetings(costs, link).note();
  for (auto& others : costs.reductions_meet)
    std::sort(others.begin(), others.end());
}

class MeshWalk {
 public:
  MeshWalk(Routes& routes, const Mesh& mesh) : routes_(routes), mesh_(mesh) {}

  MeshCosts run() {
    for (std::int64_t r = 0; r < mesh_.pipeline; ++r) {
      const std::int64_t next = (r + 1) % mesh_.pipeline;
      forward_.push_back(between(r, next));
      backward_.push_back(between(next, r));
    }
    note_replicas();
    costs_.tensor = ring_of(routes_, tensor_groups(), costs_.exchanges);
    for (std::int64_t r = 0; r < mesh_.pipeline; ++r) {
      const auto rank = static_cast<std::size_t>(r);
      costs_.own_tensor.push_back(own_tensor(r));
      costs_.holders.push_back(ring({FlowKind::holders, rank}, holder_groups({r}, false)));
      costs_.partial_holders.push_back(
          ring({FlowKind::partial_holders, rank}, holder_groups({r}, true)));
      uses_.add({FlowKind::forward, rank}, messages_[2 * rank], kinds_);
      uses_.add({FlowKind::backward, rank}, messages_[2 * rank + 1], kinds_);
    }
    if (mesh_.pipeline > 1) {
      const std::vector<std::int64_t> ends = {0, mesh_.pipeline - 1};
      costs_.tied = ring({FlowKind::tied}, holder_groups(ends, false));
      costs_.partial_tied = ring({FlowKind::partial_tied}, holder_groups(ends, true));
    }
    costs_.exchanges_take_turns =
        std::any_of(costs_.own_tensor.begin(), costs_.own_tensor.end(),
                    [&](const RingGroup& own) { return !(own == costs_.tensor); });
    costs_.shared = uses_.shared();
    note_meetings(costs_);
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

  // Of one rank of the pipeline, or all.
  Groups tensor_groups(std::optional<std::int64_t> rank = std::nullopt) const {
    Groups groups;
    each_replica([&](MeshPlace place) {
      for (place.pipeline = 0; place.pipeline < mesh_.pipeline; ++place.pipeline) {
        if (rank && *rank != place.pipeline) continue;
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

  // Where all are alike those of all ranks say it.
  RingGroup own_tensor(std::int64_t rank) {
    const Groups groups = tensor_groups(rank);
    const Paths& all = costs_.tensor.paths;
    const Flow flow{FlowKind::tensor, static_cast<std::size_t>(rank)};
    if (!all.are_alike() || all.most_shared() > 1) return ring(flow, groups, kinds_);
    uses_.add(flow, around(groups), mesh_.tensor > 1 ? kinds_ : std::vector<std::size_t>{});
    return costs_.tensor;
  }

  // kinds: of replicas, by member.
  RingGroup ring(const Flow& flow, const Groups& groups,
                 const std::vector<std::size_t>& kinds = {}) {
    const Messages messages = around(groups);
    if (messages.empty()) return {};
    uses_.add(flow, messages, kinds);
    return {groups.front().size(), Paths(routes_, messages)};
  }

  NumberedPaths between(std::int64_t from, std::int64_t to) {
    Messages& messages = messages_.emplace_back();
    each_replica([&](MeshPlace place) {
      for (place.tensor = 0; from != to && place.tensor < mesh_.tensor; ++place.tensor) {
        MeshPlace other = place;
        place.pipeline = from, other.pipeline = to;
        messages.emplace_back(rank_at(mesh_, place), rank_at(mesh_, other));
      }
    });
    cross(routes_, messages, costs_.between);
    return {routes_, messages};
  }

  // Of a replica's slices all ways count.
  void note_replicas() {
    for (const NumberedPaths& boundary : forward_)
      costs_.messages.forward.push_back(boundary.paths);
    for (const NumberedPaths& boundary : backward_)
      costs_.messages.backward.push_back(boundary.paths);
    const auto replicas = static_cast<std::size_t>(mesh_.data * mesh_.workers);
    costs_.kind_of_replica.assign(replicas, 0);
    const auto are_alike = [](const std::vector<NumberedPaths>& boundaries) {
      return std::all_of(boundaries.begin(), boundaries.end(),
                         [](const NumberedPaths& it) { return it.paths.are_alike(); });
    };
    if (are_alike(forward_) && are_alike(backward_)) return;
    std::map<std::vector<std::vector<std::size_t>>, std::size_t> known;
    const auto slices = static_cast<std::size_t>(mesh_.tensor);
    const auto ways_of = [&](const NumberedPaths& all, std::size_t replica) {
      if (all.paths.are_alike()) return std::vector<std::size_t>{};
      const auto own = all.ways.begin() + static_cast<std::ptrdiff_t>(replica * slices);
      std::vector<std::size_t> ways(own, own + mesh_.tensor);
      std::sort(ways.begin(), ways.end());
      ways.erase(std::unique(ways.begin(), ways.end()), ways.end());
      return ways;
    };
    for (std::size_t replica = 0; replica < replicas; ++replica) {
      std::vector<std::vector<std::size_t>> ways;
      for (const auto* direction : {&forward_, &backward_}) {
        for (const NumberedPaths& boundary : *direction)
          ways.push_back(ways_of(boundary, replica));
      }
      const auto [kind, is_new] = known.try_emplace(ways, known.size());
      costs_.kind_of_replica[replica] = kind->second;
      if (is_new) costs_.replica_kinds.push_back(ways_of_kind(ways));
    }
    if (known.size() == 1) costs_.replica_kinds.clear();
    for (const std::size_t kind : costs_.kind_of_replica)
      kinds_.insert(kinds_.end(), known.size() == 1 ? 0 : slices, kind);
  }

  // numbers: by boundary, forward and then backward; none: all alike.
  MeshCosts::BoundaryWays ways_of_kind(const std::vector<std::vector<std::size_t>>& numbers) const {
    MeshCosts::BoundaryWays made;
    auto own = numbers.begin();
    for (const auto& [from, to] :
         {std::pair(&forward_, &made.forward), std::pair(&backward_, &made.backward)}) {
      for (const NumberedPaths& boundary : *from) {
        to->push_back(own->empty() ? boundary.paths : boundary.paths.only(*own));
        ++own;
      }
    }
    return made;
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

  Routes& routes_;
  const Mesh& mesh_;
  MeshCosts costs_;
  std::vector<Messages> messages_;                 // by rank of the pipeline, to the next and back
  std::vector<NumberedPaths> forward_, backward_;  // ... as costs_.messages
  std::vector<std::size_t> kinds_;  // by message between two ranks; empty: all are of one
  LinkUses uses_{routes_};
};

}  // namespace

const RingGroup& holders_of(const MeshCosts& mesh, const HeldClass& held, std::size_t rank) {
  if (held.is_tied) return held.is_partial ? mesh.partial_tied : mesh.tied;
  return (held.is_partial ? mesh.partial_holders : mesh.holders)[rank];
}

bool MeshCosts::meets_others() const {
  return exchanges_meet_messages || reductions_meet_exchanges || messages_meet_others ||
         std::any_of(reductions_meet.begin(), reductions_meet.end(),
                     [](const auto& others) { return !others.empty(); });
}

MeshCosts mesh_costs(Routes& routes, const Mesh& mesh) {
  return MeshWalk(routes, mesh).run();
}

}  // namespace rehearse
