// The programs of a pipeline of a plan, priced to be played (program_player.h): its ranks stand for
// those of all replicas and slices, which do the same at the same time; or one of each kind of
// replicas (MeshCosts::replica_kinds), which reduce and gather together.
#pragma once

#include <optional>
#include <vector>

#include "cost/closed_form/played_ops.h"

namespace rehearse {

struct PlayedPlan {
  std::vector<const RankProgram*> programs;  // by kind of replicas, then rank of the pipeline
  std::vector<PlayedRank> ranks;
  std::vector<Meeting> meetings;
};
// plan: data, pipeline and tensor parallel by ring collectives; must outlive it. None: others than
// the first and the last rank of the pipeline share parameters.
std::optional<PlayedPlan> played_plan(const Plan& plan, const PlayingCosts& costs);

// Of how many kinds of replicas one is played.
std::int64_t kinds_played(const MeshCosts& mesh);

}  // namespace rehearse
