#include "cost/closed_form/staged_cut.h"

#include <set>

#include "cost/memory.h"

namespace rehearse {

const RankKind& StagedCuts::kind(const std::vector<StageBlocks>& stages, bool shares,
                                 const StagedSettings& settings) {
  std::vector<StageBlocks> alike;
  for (const StageBlocks& stage : stages)
    alike.push_back(table_.alike(stage));
  const auto [known, is_new] =
      kinds_.try_emplace({std::move(alike), shares, settings.buckets, settings.splits_backward,
                          settings.recomputation});
  RankKind& made = known->second;
  if (!is_new) return made;
  made.buckets = &table_.of(stages, shares, settings.buckets);
  made.stand_ins = stand_ins_of(stages);
  std::vector<std::set<SegmentId>> complete(stages.size());
  for (const HeldBucket& bucket : made.buckets->buckets) {
    for (const HeldBucket::Use& use : bucket.uses) {
      const SegmentId first = begin_of(net_.net(), BlockId(stages[use.stage].begin + use.block));
      complete[use.stage].emplace(first.index() + use.segment);
    }
  }
  // Where it makes no difference, all stages have the same.
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const auto [begin, end] = stages[s];
    const auto free = net_.programs().free_completions(begin, end, settings.recomputation);
    complete[s].insert(free.begin(), free.end());
    made.stages.push_back(net_.programs().stage(begin, end,
                                                {complete[s].begin(), complete[s].end()},
                                                settings.recomputation, settings.splits_backward));
  }
  return made;
}

Bytes StagedCuts::stand_ins_of(const std::vector<StageBlocks>& stages) const {
  if (!has_stand_ins_) return {};
  std::vector<Stage> segments;
  for (const auto& [begin, end] : stages)
    segments.push_back({StageId(segments.size()), begin_of(net_.net(), BlockId(begin)),
                        end_of(net_.net(), BlockId(end - 1))});
  return gradient_stand_ins(net_.net(), segments, training_);
}

std::optional<StagedCut> StagedCuts::make(const StageCut& cut, const StagedSettings& settings) {
  StagedCut made;
  made.stages_of.resize(static_cast<std::size_t>(settings.shape.ranks));
  std::vector<std::size_t> ranks(cut.back());  // by block
  for (std::size_t s = 0; s + 1 < cut.size(); ++s) {
    made.ranks.push_back(rank_of(settings.shape, StageId(s)));
    made.stages_of[made.ranks.back()].push_back(s);
    made.begins.emplace_back(cut[s]);
    for (std::size_t block = cut[s]; block < cut[s + 1]; ++block)
      ranks[block] = made.ranks.back();
  }
  const std::optional<bool> tied = table_.are_tied(ranks);
  if (!tied) return std::nullopt;
  made.stages.resize(made.ranks.size());
  std::map<const RankKind*, std::size_t> first;
  for (std::size_t r = 0; r < made.stages_of.size(); ++r) {
    std::vector<StageBlocks> stages;
    for (const std::size_t stage : made.stages_of[r])
      stages.push_back({cut[stage], cut[stage + 1]});
    const bool is_end = r == 0 || r + 1 == made.stages_of.size();
    const RankKind& own = kind(stages, *tied && is_end, settings);
    for (std::size_t s = 0; s < stages.size(); ++s)
      made.stages[made.stages_of[r][s]] = own.stages[s];
    made.kinds.push_back(&own);
    made.like.push_back(first.try_emplace(&own, r).first->second);
  }
  return made;
}

}  // namespace rehearse
