// A plan's pipeline as actions again: what its stages do, without parts, buffers and lanes.
#pragma once

#include "model/plan/plan.h"
#include "model/schedule/schedule_csv.h"

namespace rehearse {

// The ranks of one pipeline (the first replica's first slice), in the order of their first stages:
// passes where their first part stands, messages where they are issued. Where parameters are
// sharded, a stage is unsharded ahead of every pass that reads weights and resharded after it, as
// the plan does block by block; gradients are reduced after the stage's last pass.
ScheduleTable actions_of(const Plan& plan);

}  // namespace rehearse
