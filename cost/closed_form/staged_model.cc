#include "cost/closed_form/staged_model.h"

namespace rehearse {
namespace {

bool reductions_share_links(const MeshCosts& mesh, const StagedCut& cut) {
  for (std::size_t r = 0; r < cut.kinds.size(); ++r) {
    for (const HeldClass& held : cut.kinds[r]->buckets->classes) {
      if (held.is_reduced && holders_of(mesh, held, r).paths.most_shared() > 1) return true;
    }
  }
  return false;
}

}  // namespace

const PipelineUpdates& StagedModel::updates(const MeshCosts& mesh, Sharding sharding) {
  const auto [known, is_new] = updates_.try_emplace({&mesh, sharding});
  PipelineUpdates& made = known->second;
  if (!is_new) return made;
  made.shares_links = reductions_share_links(mesh, cut_);
  for (std::size_t r = 0; r < cut_.kinds.size(); ++r) {
    const RankReductions& reductions =
        reductions_.of(*cut_.kinds[r]->buckets, {sharding, &mesh, r});
    const auto [own, is_first] = rank_updates_.try_emplace({&reductions, cut_.kinds[r]});
    if (is_first) {
      std::vector<const StagePasses*> passes;
      for (const std::size_t stage : cut_.stages_of[r])
        passes.push_back(&passes_.stage(stage));
      own->second = rank_updates(reductions, passes);
    }
    made.ranks.push_back(&own->second);
  }
  for (std::size_t r = 0; r < cut_.kinds.size(); ++r) {
    double& sum = made.of_others.emplace_back(0);
    for (const std::size_t other : mesh.reductions_meet[r]) {
      const RankReductions& reductions = *made.ranks[other]->reductions;
      sum += reductions.total;
      for (const RankReductions::Class& held : reductions.classes)
        sum += held.gather;
    }
  }
  return made;
}

}  // namespace rehearse
