#include "model/schedule/collective_choice.h"

#include <algorithm>

namespace rehearse {
namespace {

// Of one group.
std::optional<std::size_t> node_members_of(const Group& group, std::int64_t ranks_per_node) {
  std::vector<std::int64_t> nodes;
  std::vector<std::size_t> counts;
  for (const RankId member : group.members) {
    const std::int64_t node = static_cast<std::int64_t>(member.value()) / ranks_per_node;
    if (nodes.empty() || nodes.back() != node) nodes.push_back(node), counts.push_back(0);
    ++counts.back();
  }
  std::sort(nodes.begin(), nodes.end());
  const bool returns = std::adjacent_find(nodes.begin(), nodes.end()) != nodes.end();
  const bool differ = std::any_of(counts.begin(), counts.end(),
                                  [&](std::size_t count) { return count != counts.front(); });
  return returns || differ || counts.empty() ? std::nullopt : std::optional(counts.front());
}

class Choice {
 public:
  Choice(const CollectiveCosts& costs, CollectiveKind kind, const CollectiveGroup& group,
         std::int64_t elements, std::int64_t element_bytes)
      : costs_(costs),
        kind_(kind),
        group_(group),
        elements_(elements),
        element_bytes_(element_bytes) {}

  std::optional<CollectiveMethod> by(CollectiveAlgorithm algorithm) const {
    if (algorithm == CollectiveAlgorithm::hierarchical && !group_.node_members) return std::nullopt;
    CollectiveMethod method{algorithm};
    if (algorithm == CollectiveAlgorithm::hierarchical)
      method.node_members = static_cast<std::int64_t>(*group_.node_members);
    if (refusal_of(shape_of(method, kind_, group_.members))) return std::nullopt;
    if (algorithm == CollectiveAlgorithm::double_tree) method.pieces = best_pieces();
    return method;
  }

  CollectiveMethod fastest() const {
    CollectiveMethod best;
    if (!costs_.seconds || group_.members == 1) return best;
    double least = seconds(best);
    for (const CollectiveAlgorithmRow& row : collective_algorithms()) {
      if (row.algorithm == CollectiveAlgorithm::in_network) continue;
      const auto method = by(row.algorithm);
      if (!method) continue;
      const double needed = seconds(*method);
      if (needed < least) best = *method, least = needed;
    }
    return best;
  }

 private:
  double seconds(const CollectiveMethod& method) const {
    CollectiveShape shape = shape_of(method, kind_, group_.members);
    shape.node_members = group_.node_members.value_or(1);
    return costs_.seconds(shape, elements_, element_bytes_);
  }

  // Latency grows with them and what is waited for shrinks: the sum has one lowest point.
  std::int64_t best_pieces() const {
    CollectiveMethod best{CollectiveAlgorithm::double_tree};
    if (!costs_.seconds) return best.pieces;
    double least = seconds(best);
    for (std::int64_t pieces = 2; pieces <= elements_ / 2; pieces *= 2) {
      CollectiveMethod finer = best;
      finer.pieces = pieces;
      const double needed = seconds(finer);
      if (needed >= least) break;
      best = finer, least = needed;
    }
    return best.pieces;
  }

  const CollectiveCosts& costs_;
  const CollectiveKind kind_;
  const CollectiveGroup& group_;
  const std::int64_t elements_, element_bytes_;
};

}  // namespace

CollectiveGroup layout_of(const std::vector<Group>& groups, std::int64_t ranks_per_node) {
  if (groups.empty()) return {};
  CollectiveGroup result{groups.front().members.size(),
                         node_members_of(groups.front(), ranks_per_node)};
  for (const Group& group : groups) {
    if (node_members_of(group, ranks_per_node) != result.node_members)
      result.node_members = std::nullopt;
  }
  return result;
}

CollectiveMethod choose_collective(const CollectiveAsked& asked, const CollectiveCosts& costs,
                                   CollectiveKind kind, const CollectiveGroup& group,
                                   std::int64_t elements, std::int64_t element_bytes) {
  const Choice choice(costs, kind, group, elements, element_bytes);
  if (!asked) return choice.fastest();
  return choice.by(*asked).value_or(CollectiveMethod{});
}

CollectiveShape shape_of(const CollectiveMethod& method, CollectiveKind kind, std::size_t members) {
  return {kind,
          method.algorithm,
          members,
          0,
          static_cast<std::size_t>(method.node_members),
          static_cast<std::size_t>(method.pieces)};
}

}  // namespace rehearse
