#include "cost/closed_form/rank_buckets.h"

#include <algorithm>
#include <set>

namespace rehearse {

BucketTable::BucketTable(const Net& net, const BlockRun& run, std::int64_t tensor,
                         const Training& training)
    : net_(net),
      run_(run),
      tensor_(tensor),
      gradient_bytes_(state_sizes(training).gradient),
      order_(net.parameters.size(), 0),
      used_(net.blocks.size()),
      uses_(net.parameters.size()) {
  std::size_t place = 0;
  for (const ParameterId parameter : parameters_of(net, SegmentId(0), end_segment(net)))
    order_[parameter.index()] = place++;
  std::map<ParameterId, std::vector<std::size_t>> blocks;
  for (std::size_t s = 0; s < net.segments.size(); ++s) {
    const std::size_t block = net.segments[s].block.index();
    for (const LayerId layer : net.segments[s].layers) {
      for (const ParameterId parameter : net.layers[layer.index()].parameters) {
        auto& users = blocks[parameter];
        if (!users.empty() && users.back() == block) continue;
        users.push_back(block);
        used_[block].push_back({parameter, SegmentId(s)});
        uses_[parameter.index()].push_back({block, SegmentId(s)});
      }
    }
  }
  for (auto& [parameter, users] : blocks) {
    if (users.size() > 1) shared_[parameter] = std::move(users);
  }
}

std::optional<bool> BucketTable::are_tied(const std::vector<std::size_t>& ranks) const {
  bool tied = false;
  for (const auto& [parameter, blocks] : shared_) {
    std::set<std::size_t> users;
    for (const std::size_t block : blocks)
      users.insert(ranks[block]);
    if (users.size() == 1) continue;
    const std::size_t last = *std::max_element(ranks.begin(), ranks.end());
    if (users.size() > 2 || *users.begin() != 0 || *users.rbegin() != last) return std::nullopt;
    tied = true;
  }
  return tied;
}

StageBlocks BucketTable::alike(const StageBlocks& stage) const {
  const bool is_inside = run_.begin <= stage.begin && stage.end <= run_.end;
  return is_inside ? StageBlocks{run_.begin, run_.begin + stage.end - stage.begin} : stage;
}

const RankBuckets& BucketTable::of(const std::vector<StageBlocks>& stages, bool shares,
                                   const BucketSettings& settings) {
  std::vector<StageBlocks> key;
  for (const StageBlocks& stage : stages)
    key.push_back(alike(stage));
  const auto [known, is_new] = known_.try_emplace({std::move(key), shares, settings});
  if (is_new) known->second = make(stages, shares, settings);
  return known->second;
}

bool BucketTable::is_elsewhere(ParameterId parameter,
                               const std::vector<StageBlocks>& stages) const {
  const auto found = shared_.find(parameter);
  if (found == shared_.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](std::size_t block) {
    return std::none_of(stages.begin(), stages.end(), [&](const StageBlocks& stage) {
      return stage.begin <= block && block < stage.end;
    });
  });
}

// As holder_classes() and cut_buckets() have those of one rank.
RankBuckets BucketTable::make(const std::vector<StageBlocks>& stages, bool shares,
                              const BucketSettings& settings) const {
  std::vector<ParameterId> own;
  for (const StageBlocks& stage : stages) {
    for (std::size_t block = stage.begin; block < stage.end; ++block) {
      for (const Used& used : used_[block])
        own.push_back(used.parameter);
    }
  }
  std::sort(own.begin(), own.end(),
            [&](ParameterId a, ParameterId b) { return order_[a.index()] > order_[b.index()]; });
  own.erase(std::unique(own.begin(), own.end()), own.end());
  RankBuckets made;
  std::vector<HolderClass> classes;
  std::map<std::pair<bool, bool>, std::size_t> known;
  for (const ParameterId parameter : own) {
    const bool partial = net_.parameters[parameter.index()].spread == Spread::partial;
    const bool tied = shares && is_elsewhere(parameter, stages);
    const auto [slot, is_new] = known.try_emplace({tied, partial}, classes.size());
    if (is_new) {
      classes.emplace_back();
      made.classes.push_back(
          {0, partial, tied, settings.has_replicas || tied || (partial && tensor_ > 1)});
    }
    HolderClass& held = classes[slot->second];
    held.parameters.push_back(parameter);
    held.elements += net_.parameters[parameter.index()].shape.elements();
    made.classes[slot->second].elements = held.elements;
  }
  std::vector<Bucket> buckets;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    if (!made.classes[c].is_reduced) continue;
    const auto cut = cut_class(net_, classes[c], c, {settings.size, gradient_bytes_});
    buckets.insert(buckets.end(), cut.begin(), cut.end());
  }
  // By readiness, classes one after the other.
  std::stable_sort(buckets.begin(), buckets.end(),
                   [](const Bucket& a, const Bucket& b) { return a.first_use > b.first_use; });
  for (const Bucket& bucket : buckets)
    made.buckets.push_back(held(bucket, stages));
  return made;
}

HeldBucket BucketTable::held(const Bucket& bucket, const std::vector<StageBlocks>& stages) const {
  HeldBucket made{bucket.holder_class, bucket.end - bucket.begin, {}};
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const Use* first = nullptr;
    for (const ParameterId parameter : bucket.parameters) {
      for (const Use& use : uses_[parameter.index()]) {
        const bool is_here = stages[s].begin <= use.block && use.block < stages[s].end;
        if (is_here && (first == nullptr || use.first < first->first)) first = &use;
      }
    }
    if (first == nullptr) continue;
    const SegmentId begin = begin_of(net_, BlockId(first->block));
    made.uses.push_back({s, first->block - stages[s].begin, first->first.index() - begin.index()});
  }
  return made;
}

}  // namespace rehearse
