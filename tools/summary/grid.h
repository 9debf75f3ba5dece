// The picture of a schedule that papers draw: one row per rank, one column per unit of time.
#pragma once

#include <string>
#include <vector>

#include "model/plan/plan.h"
#include "model/schedule/schedule_csv.h"

namespace rehearse {

// Forward, input gradients and weight gradients take one column each, a whole backward two;
// messages take no time. "F3" is the forward of micro-batch 3; with several stages on a rank the
// letter after the number is the stage's place on it (a, b, ...). "." is idle, "=" the second half
// of a backward.
struct Grid {
  std::vector<RankId> ranks;
  std::vector<std::vector<std::string>> rows;  // by rank; those that end early are shorter
};
Grid grid_of(const ScheduleTable& table);
// Of a plan's pipelines: one, or each that workers of different subnetworks run.
std::vector<Grid> grids_of(const Plan& plan);

std::string print_grid(const ScheduleTable& table);
std::string print_grid(const Plan& plan);

}  // namespace rehearse
