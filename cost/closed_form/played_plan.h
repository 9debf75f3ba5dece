// The programs of one pipeline of a plan, priced to be played (program_player.h): its ranks stand
// for those of all replicas and slices, which do the same at the same time.
#pragma once

#include <optional>
#include <vector>

#include "cost/closed_form/played_ops.h"

namespace rehearse {

struct PlayedPlan {
  std::vector<const RankProgram*> programs;  // by rank of the pipeline
  std::vector<PlayedRank> ranks;
  std::vector<Meeting> meetings;
};
// plan: data, pipeline and tensor parallel by ring collectives; must outlive it. None: others than
// the first and the last rank of the pipeline share parameters.
std::optional<PlayedPlan> played_plan(const Plan& plan, const PlayingCosts& costs);

}  // namespace rehearse
