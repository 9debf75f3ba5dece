// A plan's pipeline as actions again: what its stages do, without parts, buffers and lanes.
#pragma once

#include <vector>

#include "model/plan/plan.h"
#include "model/schedule/schedule_csv.h"

namespace rehearse {

// A pipeline: its ranks in the order of their first stages, and what they run: passes where their
// first part stands, messages where they are issued. Where parameters are sharded, a stage is
// unsharded ahead of every pass that reads weights and resharded after it, as the plan does block
// by block; gradients are reduced after the stage's last pass.
struct PlanPipeline {
  std::vector<RankId> ranks;
  ScheduleTable table;
};

// Of all replicas that run other programs than those before: one, unless workers train different
// subnetworks. A stage that a worker has dropped has no passes, it hands on what it gets.
std::vector<PlanPipeline> pipelines_of(const Plan& plan);

// The schedule that all of them follow: the first one's, with the passes of dropped stages where
// they would stand.
ScheduleTable schedule_of(const Plan& plan);

}  // namespace rehearse
