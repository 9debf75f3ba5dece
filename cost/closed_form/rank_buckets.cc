#include "cost/closed_form/rank_buckets.h"

#include <algorithm>
#include <map>

namespace rehearse {
namespace {

class Buckets {
 public:
  Buckets(const Net& net, const PipelineShape& shape, const StageCut& cut, const Training& training,
          const BucketSettings& settings)
      : net_(net), settings_(settings), rule_{settings.size, state_sizes(training).gradient} {
    for (const std::size_t block : cut)
      starts_.push_back(block == net.blocks.size() ? end_segment(net)
                                                   : begin_of(net, BlockId(block)));
    for (std::int64_t s = 0; s < shape.stages(); ++s)
      ranks_.push_back(rank_of(shape, StageId(s)));
    made_.resize(static_cast<std::size_t>(shape.ranks));
  }

  std::optional<std::vector<RankBuckets>> run() {
    const auto classes = holder_classes(net_, {full_subnetwork(net_)}, starts_, ranks_);
    std::vector<std::vector<Ordered>> buckets(made_.size());
    for (std::size_t c = 0; c < classes.size(); ++c) {
      const auto sharers = std::count(classes[c].pipeline.begin(), classes[c].pipeline.end(), true);
      const bool is_tied = sharers > 1;
      const bool at_ends = classes[c].pipeline.front() && classes[c].pipeline.back();
      if (sharers > 2 || (is_tied && !at_ends)) return std::nullopt;
      const bool is_reduced =
          settings_.has_replicas || is_tied || (classes[c].partial && settings_.tensor > 1);
      const auto cut = is_reduced ? cut_class(net_, classes[c], c, rule_) : std::vector<Bucket>{};
      for (std::size_t r = 0; r < made_.size(); ++r) {
        if (!classes[c].pipeline[r]) continue;
        made_[r].classes.push_back({classes[c].elements, classes[c].partial, is_tied, is_reduced});
        for (const Bucket& bucket : cut)
          buckets[r].push_back({bucket.first_use, of_rank(bucket, r)});
      }
    }
    for (std::size_t r = 0; r < made_.size(); ++r)
      put_in_order(buckets[r], made_[r]);
    return std::move(made_);
  }

 private:
  struct Ordered {
    SegmentId first_use;
    HeldBucket bucket;
  };

  HeldBucket of_rank(const Bucket& bucket, std::size_t rank) {
    HeldBucket held{made_[rank].classes.size() - 1, bucket.end - bucket.begin, {}};
    std::size_t own = 0;
    for (std::size_t s = 0; s < ranks_.size(); ++s) {
      if (ranks_[s] != rank) continue;
      const auto first = first_use(s, bucket.parameters);
      if (first) held.uses.push_back(use_of(own, s, *first));
      ++own;
    }
    return held;
  }

  HeldBucket::Use use_of(std::size_t own, std::size_t stage, SegmentId first) const {
    const BlockId block = net_.segments[first.index()].block;
    return {own, block.index() - net_.segments[starts_[stage].index()].block.index(),
            first.index() - begin_of(net_, block).index()};
  }

  std::optional<SegmentId> first_use(std::size_t stage, const std::vector<ParameterId>& of) {
    const auto& first = first_uses(stage);
    std::optional<SegmentId> least;
    for (const ParameterId parameter : of) {
      const auto found = first.find(parameter);
      if (found == first.end()) continue;
      least = std::min(least.value_or(found->second), found->second);
    }
    return least;
  }

  const std::map<ParameterId, SegmentId>& first_uses(std::size_t stage) {
    auto& first = first_uses_[stage];
    if (!first.empty()) return first;
    for (std::size_t s = starts_[stage].index(); s < starts_[stage + 1].index(); ++s) {
      for (const LayerId layer : net_.segments[s].layers) {
        for (const ParameterId parameter : net_.layers[layer.index()].parameters)
          first.try_emplace(parameter, s);
      }
    }
    return first;
  }

  // As cut_buckets() orders those of one rank: by readiness, classes one after the other.
  static void put_in_order(std::vector<Ordered>& buckets, RankBuckets& rank) {
    std::stable_sort(buckets.begin(), buckets.end(),
                     [](const Ordered& a, const Ordered& b) { return a.first_use > b.first_use; });
    for (Ordered& ordered : buckets)
      rank.buckets.push_back(std::move(ordered.bucket));
  }

  const Net& net_;
  const BucketSettings& settings_;
  const BucketRule rule_;
  std::vector<SegmentId> starts_;
  std::vector<std::size_t> ranks_;  // by stage
  std::map<std::size_t, std::map<ParameterId, SegmentId>> first_uses_;
  std::vector<RankBuckets> made_;
};

}  // namespace

std::optional<std::vector<RankBuckets>> rank_buckets(const Net& net, const PipelineShape& shape,
                                                     const StageCut& cut, const Training& training,
                                                     const BucketSettings& settings) {
  return Buckets(net, shape, cut, training, settings).run();
}

}  // namespace rehearse
