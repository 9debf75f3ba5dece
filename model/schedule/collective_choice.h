// Which algorithm a collective of a plan is done by.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "model/plan/plan.h"

namespace rehearse {

// What a strategy asks for; none: auto, whatever takes the least time. What the algorithm cannot do
// is done by ring: other collectives than all-reduces, most of them; broadcasts; hierarchical over
// groups that do not have equally many neighbours on every node.
using CollectiveAsked = std::optional<CollectiveAlgorithm>;

// Seconds that a collective of so many elements of so many bytes takes where it is alone. The
// shape's node_members say how many members are neighbours, whatever the algorithm.
using CollectiveSeconds = std::function<double(const CollectiveShape& shape, std::int64_t elements,
                                               std::int64_t element_bytes)>;

// What is known of the machine where a plan is built; handed in by whoever knows it.
struct CollectiveCosts {
  std::int64_t ranks_per_node = 1;  // rank r is on node r / ranks_per_node
  CollectiveSeconds seconds;        // empty: nothing is: auto is ring, double trees have one piece
};

struct CollectiveMethod {
  CollectiveAlgorithm algorithm = CollectiveAlgorithm::ring;
  std::int64_t node_members = 1, pieces = 1;  // Collective's
};

// A group as the choice sees it.
struct CollectiveGroup {
  std::size_t members = 1;
  // Neighbours on each node, one after the other; none: not equally many, or not in order.
  std::optional<std::size_t> node_members = 1;
};

// Of several groups that do the same; none of them: of one member.
CollectiveGroup layout_of(const std::vector<Group>& groups, std::int64_t ranks_per_node);

// auto: NCCL's rule, in which every algorithm has a latency and a bandwidth for the number of ranks
// and nodes, and the least latency + bytes / bandwidth wins (NCCL, src/graph/tuning.cc), with the
// closed forms handed in. In-network reduction is not among them: it has to be asked for. A double
// tree has as many pieces, a power of two, as make it fastest.
CollectiveMethod choose_collective(const CollectiveAsked& asked, const CollectiveCosts& costs,
                                   CollectiveKind kind, const CollectiveGroup& group,
                                   std::int64_t elements, std::int64_t element_bytes);

CollectiveShape shape_of(const CollectiveMethod& method, CollectiveKind kind, std::size_t members);

}  // namespace rehearse
