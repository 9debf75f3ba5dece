#include "cost/closed_form/staged_cut.h"

#include <algorithm>
#include <map>
#include <set>

namespace rehearse {
namespace {

// What ranks with equal numbers have alike.
std::vector<std::int64_t> signature(const StagedCut& made, std::size_t rank) {
  std::vector<std::int64_t> numbers;
  const auto add = [&](auto number) { numbers.push_back(static_cast<std::int64_t>(number)); };
  for (const std::size_t stage : made.stages_of[rank])
    add(made.stages[stage].kind), add(made.stages[stage].repeats);
  for (const HeldClass& held : (*made.buckets)[rank].classes)
    add(held.elements), add(2 * held.is_partial + held.is_tied);
  for (const HeldBucket& bucket : (*made.buckets)[rank].buckets) {
    add(bucket.held), add(bucket.elements), add(bucket.uses.size());
    for (const HeldBucket::Use& use : bucket.uses)
      add(use.stage), add(use.block), add(use.segment);
  }
  return numbers;
}

}  // namespace

StagedCut staged_cut(RankNet& net, const StageCut& cut, const StagedSettings& settings,
                     const std::vector<RankBuckets>& buckets) {
  StagedCut made;
  made.buckets = &buckets;
  const std::size_t stages = cut.size() - 1;
  made.stages_of.resize(buckets.size());
  for (std::size_t s = 0; s < stages; ++s) {
    made.ranks.push_back(rank_of(settings.shape, StageId(s)));
    made.stages_of[made.ranks.back()].push_back(s);
    made.begins.emplace_back(cut[s]);
  }
  std::vector<std::set<SegmentId>> complete(stages);
  for (std::size_t r = 0; r < buckets.size(); ++r) {
    for (const HeldBucket& bucket : buckets[r].buckets) {
      for (const HeldBucket::Use& use : bucket.uses) {
        const std::size_t stage = made.stages_of[r][use.stage];
        const SegmentId first = begin_of(net.net(), BlockId(cut[stage] + use.block));
        complete[stage].emplace(first.index() + use.segment);
      }
    }
  }
  for (std::size_t s = 0; s < stages; ++s) {
    if (!complete[s].empty()) {
      const auto free = net.free_completions(cut[s], cut[s + 1], settings.recomputation);
      complete[s].insert(free.begin(), free.end());
    }
    made.stages.push_back(net.stage(cut[s], cut[s + 1], {complete[s].begin(), complete[s].end()},
                                    settings.recomputation, settings.splits_backward));
  }
  std::map<std::vector<std::int64_t>, std::size_t> first;
  for (std::size_t r = 0; r < buckets.size(); ++r)
    made.like.push_back(first.try_emplace(signature(made, r), r).first->second);
  return made;
}

}  // namespace rehearse
