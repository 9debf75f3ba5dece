// The groups of ranks that a plan's collectives are over.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "model/plan/plan.h"
#include "model/schedule/buckets.h"
#include "model/schedule/collective_choice.h"
#include "model/schedule/mesh_place.h"

namespace rehearse {

// Whether a rank's part of the pipeline has the class, and whether it trains it, too.
bool uses(const HolderClass& holder_class, const MeshPlace& place);
bool holds(const HolderClass& holder_class, const MeshPlace& place);

class PlanGroups {
 public:
  // frame: the plan, but for its programs and ranks. It and the classes must outlive the groups.
  PlanGroups(const Plan& frame, const std::vector<HolderClass>& classes,
             std::int64_t ranks_per_node);

  const std::vector<Group>& all() const { return groups_; }

  // Ranks that hold a class, slice by slice, as what is sliced is reduced. How many and what they
  // are like is the same of all slices; there are groups where they are more than one.
  std::size_t holders(std::size_t number) const { return holders_[number]; }
  const CollectiveGroup& layout(std::size_t number) const { return layouts_[number]; }
  GroupId holders_with(std::size_t number, const MeshPlace& place) const;

  // Whether workers read a class that they do not hold; the group of all who do either.
  bool has_readers(std::size_t number) const;
  GroupId readers_with(std::size_t number, const MeshPlace& place) const;

  // Tensor-parallel ranks; none: there are none.
  std::optional<GroupId> tensor_with(const MeshPlace& place) const;
  const CollectiveGroup& tensor_layout() const { return tensor_layout_; }

  // Ranks that have a norm of gradients between them, where these are clipped; none: this rank has
  // its own.
  std::optional<GroupId> norm_with(const MeshPlace& place) const;
  std::size_t norm_ranks() const { return norm_ranks_; }

 private:
  GroupId add(Group group);
  void add_holders();
  void add_readers();
  void add_tensor_groups();
  void add_norm_groups();
  void add_norm_group(Group group);
  RankId rank_at(const MeshPlace& place) const { return rehearse::rank_at(plan_.mesh, place); }

  const Plan& plan_;
  const std::vector<HolderClass>& classes_;
  const std::int64_t ranks_per_node_;
  std::vector<Group> groups_;
  std::vector<std::size_t> holders_;                       // by class
  std::vector<CollectiveGroup> layouts_;                   // by class
  std::vector<std::vector<GroupId>> holder_groups_;        // by class and slice
  std::vector<std::vector<GroupId>> reader_groups_;        // the same; empty: nobody only reads it
  std::map<RankId, GroupId> tensor_groups_, norm_groups_;  // the former by first member
  CollectiveGroup tensor_layout_;
  std::size_t norm_ranks_ = 1;
};

}  // namespace rehearse
