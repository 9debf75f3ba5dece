#include "model/schedule/build_plan/plan_groups.h"

#include <algorithm>
#include <utility>

namespace rehearse {
namespace {

std::size_t slice_of(const HolderClass& holder_class, const MeshPlace& place) {
  return holder_class.partial ? 0 : static_cast<std::size_t>(place.tensor);
}

std::optional<GroupId> find(const std::map<RankId, GroupId>& groups, RankId rank) {
  const auto found = groups.find(rank);
  return found == groups.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

bool uses(const HolderClass& holder_class, const MeshPlace& place) {
  return holder_class.pipeline[static_cast<std::size_t>(place.pipeline)];
}

bool holds(const HolderClass& holder_class, const MeshPlace& place) {
  return holder_class.workers[static_cast<std::size_t>(place.worker)] && uses(holder_class, place);
}

PlanGroups::PlanGroups(const Plan& frame, const std::vector<HolderClass>& classes,
                       std::int64_t ranks_per_node)
    : plan_(frame), classes_(classes), ranks_per_node_(ranks_per_node) {
  add_holders();
  add_readers();
  if (plan_.mesh.tensor > 1) add_tensor_groups();
  if (plan_.training.optimizer.clip) add_norm_groups();
}

GroupId PlanGroups::add(Group group) {
  groups_.push_back(std::move(group));
  return GroupId(groups_.size() - 1);
}

// ---- of a class --------------------------------------------------------------------------------

void PlanGroups::add_holders() {
  for (const HolderClass& holder_class : classes_) {
    std::vector<Group> slices(static_cast<std::size_t>(plan_.mesh.tensor));
    for_each_place(plan_.mesh, [&](const MeshPlace& place) {
      if (!holds(holder_class, place)) return;
      slices[slice_of(holder_class, place)].members.push_back(rank_at(place));
    });
    holders_.push_back(slices.front().members.size());
    layouts_.push_back(layout_of(slices, ranks_per_node_));
    auto& groups = holder_groups_.emplace_back();
    if (holders_.back() <= 1) continue;
    for (Group& slice : slices) {
      if (!slice.members.empty()) groups.push_back(add(std::move(slice)));
    }
  }
}

GroupId PlanGroups::holders_with(std::size_t number, const MeshPlace& place) const {
  return holder_groups_[number][slice_of(classes_[number], place)];
}

bool PlanGroups::has_readers(std::size_t number) const {
  const std::vector<bool>& workers = classes_[number].workers;
  return plan_.masking == Masking::backward &&
         std::find(workers.begin(), workers.end(), false) != workers.end();
}

// Holders first: they are the ones who broadcast.
void PlanGroups::add_readers() {
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    auto& groups = reader_groups_.emplace_back();
    if (!has_readers(c)) continue;
    std::vector<Group> slices(static_cast<std::size_t>(plan_.mesh.tensor));
    for (const bool held : {true, false}) {
      for_each_place(plan_.mesh, [&](const MeshPlace& place) {
        if (!uses(classes_[c], place) || holds(classes_[c], place) != held) return;
        slices[slice_of(classes_[c], place)].members.push_back(rank_at(place));
      });
    }
    for (Group& slice : slices) {
      if (!slice.members.empty()) groups.push_back(add(std::move(slice)));
    }
  }
}

GroupId PlanGroups::readers_with(std::size_t number, const MeshPlace& place) const {
  return reader_groups_[number][slice_of(classes_[number], place)];
}

// ---- of tensor-parallel ranks ------------------------------------------------------------------

// By place along the other axes.
void PlanGroups::add_tensor_groups() {
  std::vector<Group> groups;
  for_each_place(plan_.mesh, [&](const MeshPlace& place) {
    if (place.tensor > 0) return;
    Group group;
    for (MeshPlace member = place; member.tensor < plan_.mesh.tensor; ++member.tensor)
      group.members.push_back(rank_at(member));
    groups.push_back(group);
    tensor_groups_[rank_at(place)] = add(std::move(group));
  });
  tensor_layout_ = layout_of(groups, ranks_per_node_);
}

std::optional<GroupId> PlanGroups::tensor_with(const MeshPlace& place) const {
  MeshPlace first = place;
  first.tensor = 0;
  return find(tensor_groups_, rank_at(first));
}

// ---- of a norm ---------------------------------------------------------------------------------

// Of all ranks: the norm of the gradients is everybody's. With local steps a replica's ranks have
// one of their own.
void PlanGroups::add_norm_groups() {
  if (!has_local_steps(plan_)) {
    Group all;
    for (std::int64_t r = 0; r < plan_.mesh.ranks(); ++r)
      all.members.emplace_back(r);
    return add_norm_group(std::move(all));
  }
  std::map<std::pair<std::int64_t, std::int64_t>, Group> replicas;
  for_each_place(plan_.mesh, [&](const MeshPlace& place) {
    replicas[{place.data, place.worker}].members.push_back(rank_at(place));
  });
  for (auto& [replica, group] : replicas)
    add_norm_group(std::move(group));
}

void PlanGroups::add_norm_group(Group group) {
  norm_ranks_ = group.members.size();
  if (norm_ranks_ == 1) return;
  const std::vector<RankId> members = group.members;
  const GroupId added = add(std::move(group));
  for (const RankId member : members)
    norm_groups_[member] = added;
}

std::optional<GroupId> PlanGroups::norm_with(const MeshPlace& place) const {
  return find(norm_groups_, rank_at(place));
}

}  // namespace rehearse
