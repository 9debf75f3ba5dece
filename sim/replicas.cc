#include "sim/replicas.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "sim/footprint.h"

namespace rehearse::sim {
namespace {

constexpr double kRounding = 1e-9;

class Folder {
 public:
  Folder(const Plan& plan, const Cluster& cluster)
      : plan_(plan),
        cluster_(cluster),
        replicas_(plan.mesh.data),
        size_(plan.ranks.size() / static_cast<std::size_t>(std::max<std::int64_t>(replicas_, 1))) {}

  Result<FirstReplica> run() {
    for (const auto check : {&Folder::check_shape, &Folder::check_ranks, &Folder::check_messages,
                             &Folder::check_collectives}) {
      const Status good = (this->*check)();
      if (!good) return good.errors();
    }
    FirstReplica first{plan_, replicas_};
    first.plan.ranks.resize(size_);
    return first;
  }

 private:
  Status check_shape() {
    if (replicas_ < 2) return error("there is one replica only");
    if (plan_.mesh.workers > 1) return error("workers with subnetworks are no replicas");
    for (const Axis axis : plan_.mesh.order) {
      if (axis == Axis::data) break;
      if (plan_.mesh.size(axis) > 1)
        return error(fmt::format("replicas are not outermost in the mesh: {} is", to_string(axis)));
    }
    if (cluster_.device().kind == DeviceKind::cpu) return error("CPU ranks share their nodes");
    if (cluster_.spec().jitter) return error("jitter is another in every replica");
    if (!is_uniform(cluster_.spec())) return error("ranks have different devices or speeds");
    return success();
  }

  RankId in_replica(RankId rank, std::int64_t replica) const {
    return RankId(rank.index() + static_cast<std::size_t>(replica) * size_);
  }
  bool is_inside(const Group& group) const {
    const std::size_t replica = group.members.front().index() / size_;
    return std::all_of(group.members.begin(), group.members.end(),
                       [&](RankId member) { return member.index() / size_ == replica; });
  }

  // The same programs, peers and groups, as many ranks further on.
  Status check_ranks() {
    for (std::size_t r = 0; r < size_; ++r) {
      for (std::int64_t d = 1; d < replicas_; ++d) {
        const RankId other = in_replica(RankId(r), d);
        const RankBinding &first = plan_.ranks[r], &its = plan_.ranks[other.index()];
        const bool alike = first.program == its.program && first.peers.size() == its.peers.size() &&
                           first.groups.size() == its.groups.size() && has_peers(first, its, d) &&
                           has_groups(first, its, d);
        if (!alike)
          return error(fmt::format("ranks {} and {} do not do the same", r, other.index()));
      }
    }
    return success();
  }

  bool has_peers(const RankBinding& first, const RankBinding& its, std::int64_t d) const {
    for (std::size_t p = 0; p < first.peers.size(); ++p) {
      if (in_replica(first.peers[p], d) != its.peers[p]) return false;
    }
    return true;
  }

  bool has_groups(const RankBinding& first, const RankBinding& its, std::int64_t d) const {
    for (std::size_t g = 0; g < first.groups.size(); ++g) {
      const Group &group = plan_.groups[first.groups[g].index()],
                  &other = plan_.groups[its.groups[g].index()];
      if (!is_inside(group)) {
        if (first.groups[g] != its.groups[g]) return false;
        continue;
      }
      if (group.members.size() != other.members.size()) return false;
      for (std::size_t m = 0; m < group.members.size(); ++m) {
        if (in_replica(group.members[m], d) != other.members[m]) return false;
      }
    }
    return true;
  }

  // Pairs of ranks of the first replica that send to one another.
  std::set<std::pair<RankId, RankId>> pairs() const {
    std::set<std::pair<RankId, RankId>> found;
    for (std::size_t r = 0; r < size_; ++r) {
      const RankId rank(r);
      for (const Op& op : program_of(plan_, rank).ops) {
        if (op.kind == OpKind::send)
          found.emplace(rank, plan_.ranks[r].peers[transfer_of(op).peer]);
        if (!is_collective(op.kind)) continue;
        const Group& group = group_of(plan_, rank, op);
        if (!is_inside(group)) continue;
        for (const RankId other : group.members) {
          if (other != rank) found.emplace(rank, other);
        }
      }
    }
    return found;
  }

  Status check_messages() {
    mapped_.resize(static_cast<std::size_t>(replicas_));
    for (const auto& [from, to] : pairs()) {
      const Route first = cluster_.route(from, to);
      for (std::int64_t d = 0; d < replicas_; ++d) {
        const RankId its_from = in_replica(from, d), its_to = in_replica(to, d);
        const Route other = cluster_.route(its_from, its_to);
        if (other.size() != first.size())
          return error(fmt::format("rank {} sends to rank {} by {} links, rank {} to rank {} by {}",
                                   from.index(), to.index(), first.size(), its_from.index(),
                                   its_to.index(), other.size()));
        for (std::size_t l = 0; l < first.size(); ++l) {
          const Status good = map(first[l], other[l], d);
          if (!good) return good;
        }
      }
    }
    return success();
  }

  Status map(LinkId from, LinkId to, std::int64_t replica) {
    const Link &first = cluster_.links()[from.index()], &other = cluster_.links()[to.index()];
    if (!(static_cast<const LinkSpec&>(first) == static_cast<const LinkSpec&>(other)))
      return error(fmt::format("links {} and {} differ", first.name, other.name));
    const auto [known, is_new] = mapped_[static_cast<std::size_t>(replica)].try_emplace(from, to);
    const auto [back, is_free] = origin_.try_emplace(to, std::pair(from, replica));
    if (known->second != to)
      return error(fmt::format("replica {} uses {} and {} for what the first uses {} for", replica,
                               cluster_.links()[known->second.index()].name, other.name,
                               first.name));
    if (back->second != std::pair(from, replica))
      return error(
          fmt::format("replicas {} and {} share {}", back->second.second, replica, other.name));
    return success();
  }

  // What collectives need of a link, by group and shape.
  using Needs = std::map<std::pair<GroupId, CollectiveShape>, double>;

  // What every collective between replicas needs of a link, by link.
  Status check_collectives() {
    std::map<LinkId, Needs> needs;
    std::map<GroupId, std::vector<CollectiveShape>> seen;
    for (std::size_t r = 0; r < size_; ++r) {
      const RankId rank(r);
      for (const Op& op : program_of(plan_, rank).ops) {
        if (!is_collective(op.kind)) continue;
        const GroupId id = plan_.ranks[r].groups[collective_of(op).group];
        const std::vector<RankId>& members = plan_.groups[id.index()].members;
        const CollectiveShape shape = shape_of(op, members.size());
        std::vector<CollectiveShape>& known = seen[id];
        if (std::find(known.begin(), known.end(), shape) != known.end()) continue;
        if (is_inside(plan_.groups[id.index()])) continue;
        known.push_back(shape);
        const Footprint footprint =
            footprint_of(cluster_, members, pattern(shape), collective_of(op).element_bytes);
        for (const auto& link : footprint.links)
          needs[link.link][{id, shape}] = link.occupied;
      }
    }
    for (std::int64_t d = 1; d < replicas_; ++d) {
      for (const auto& [from, to] : mapped_[static_cast<std::size_t>(d)]) {
        if (!are_alike(needs[from], needs[to]))
          return error(fmt::format("collectives between replicas need {} and {} differently",
                                   cluster_.links()[from.index()].name,
                                   cluster_.links()[to.index()].name));
      }
    }
    return success();
  }

  const MessagePattern& pattern(const CollectiveShape& shape) {
    constexpr std::int64_t kOfAMember = 1024;  // chunks without remainders
    const auto [known, is_new] = patterns_.try_emplace(shape);
    if (is_new)
      known->second = pattern_of(shape, kOfAMember * static_cast<std::int64_t>(shape.members));
    return known->second;
  }

  static bool are_alike(const Needs& a, const Needs& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
      return x.first == y.first && std::abs(x.second - y.second) <= kRounding * x.second;
    });
  }

  const Plan& plan_;
  const Cluster& cluster_;
  const std::int64_t replicas_;
  const std::size_t size_;                        // ranks of a replica
  std::vector<std::map<LinkId, LinkId>> mapped_;  // by replica
  std::map<CollectiveShape, MessagePattern> patterns_;
  std::map<LinkId, std::pair<LinkId, std::int64_t>> origin_;  // of mapped links
};

}  // namespace

Result<FirstReplica> first_replica(const Plan& plan, const Cluster& cluster) {
  return Folder(plan, cluster).run();
}

}  // namespace rehearse::sim
