// The classes of parameters that one rank has, and the groups it exchanges them over.
#pragma once

#include <optional>
#include <vector>

#include "model/schedule/build_plan/plan_groups.h"
#include "model/schedule/rank_program.h"
#include "model/schedule/strategy.h"

namespace rehearse {

struct OwnClasses {
  std::vector<OwnClass> classes;
  std::vector<std::optional<std::size_t>> slots;        // by class of the plan
  std::vector<GroupId> groups;                          // by slot of the rank's binding
  std::optional<std::size_t> tensor_group, norm_group;  // slots
};

// frame: the plan, but for its programs and ranks. classes: all of the plan, which must outlive the
// result.
OwnClasses own_classes(const StrategySpec& strategy, const Plan& frame,
                       const std::vector<HolderClass>& classes, const PlanGroups& groups,
                       const MeshPlace& place);

// Of a data-parallel replica's workers one after the other.
inline std::size_t replica_at(const Mesh& mesh, const MeshPlace& place) {
  return static_cast<std::size_t>(place.data * mesh.workers + place.worker);
}

}  // namespace rehearse
