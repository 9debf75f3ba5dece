// A network cut into the stages of a pipeline on their ranks: its passes, and updates after them.
#pragma once

#include <map>
#include <vector>

#include "cost/closed_form/rank_updates.h"
#include "cost/closed_form/staged_cut.h"
#include "cost/closed_form/staged_passes.h"

namespace rehearse {

// What the ranks of a pipeline do after their passes.
struct PipelineUpdates {
  std::vector<const RankUpdates*> ranks;
  // By rank: seconds of reductions and gathers of the ranks whose messages its own meet on links.
  std::vector<double> of_others;
  bool shares_links = false;  // whether messages of one reduction meet on a link
};

class StagedModel {
 public:
  // All must outlive it. passes: of the cut's stages.
  StagedModel(const StagedCut& cut, StagedPasses& passes, ReductionTable& reductions)
      : cut_(cut), passes_(passes), reductions_(reductions) {}

  const PipelineUpdates& updates(const MeshCosts& mesh, Sharding sharding);
  const StagedCut& cut() const { return cut_; }
  StagedPasses& passes() const { return passes_; }

 private:
  const StagedCut& cut_;
  StagedPasses& passes_;
  ReductionTable& reductions_;
  std::map<std::pair<const RankReductions*, const RankKind*>, RankUpdates> rank_updates_;
  std::map<std::pair<const MeshCosts*, Sharding>, PipelineUpdates> updates_;
};

}  // namespace rehearse
