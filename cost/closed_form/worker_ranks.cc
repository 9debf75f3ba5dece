#include "cost/closed_form/worker_ranks.h"

#include <algorithm>
#include <optional>
#include <set>

#include "cost/memory.h"

namespace rehearse {
namespace {

class Ranks {
 public:
  Ranks(UnitNet& whole, const Workers& workers, const Training& training,
        const RankSettings& settings, WorkerStages& stages)
      : whole_(whole),
        net_(whole.net()),
        workers_(workers),
        training_(training),
        settings_(settings),
        stages_(stages) {}

  WorkerRanks run() {
    made_.pipeline = static_cast<std::size_t>(settings_.shape.ranks);
    classify();
    for (std::size_t worker = 0; worker < workers_.all.size(); ++worker) {
      for (std::size_t rank = 0; rank < made_.pipeline; ++rank)
        made_.ranks.push_back(make(worker, rank));
    }
    return std::move(made_);
  }

 private:
  SegmentId start_of(std::size_t block) const {
    return block == net_.blocks.size() ? end_segment(net_) : begin_of(net_, BlockId(block));
  }

  void classify() {
    std::vector<SegmentId> starts;
    for (const std::size_t block : settings_.cut)
      starts.push_back(start_of(block));
    std::vector<std::size_t> ranks;
    for (std::int64_t s = 0; s < settings_.shape.stages(); ++s)
      ranks.push_back(rank_of(settings_.shape, StageId(s)));
    made_.classes =
        holder_classes(net_, workers_.holding.workers, starts, ranks, workers_.holding.parked);
    for (const HolderClass& it : made_.classes) {
      const auto count = [](const std::vector<bool>& flags) {
        return static_cast<std::size_t>(std::count(flags.begin(), flags.end(), true));
      };
      made_.members.push_back(count(it.workers) * count(it.pipeline) *
                              static_cast<std::size_t>(settings_.data) *
                              static_cast<std::size_t>(it.partial ? settings_.tensor : 1));
    }
    buckets_ = cut_buckets(net_, made_.classes,
                           {settings_.bucket, state_sizes(training_).gradient, false});
    for (const Bucket& bucket : buckets_)
      made_.buckets.push_back({bucket.holder_class, bucket.end - bucket.begin});
  }

  WorkerRank make(std::size_t worker, std::size_t rank) const {
    WorkerRank made;
    made.worker = worker;
    made.rank = rank;
    for (const StageId stage : stages_of(settings_.shape, rank))
      made.stages.push_back(stage.index());
    for (std::size_t c = 0; c < made_.classes.size(); ++c) {
      const HolderClass& it = made_.classes[c];
      if (!it.pipeline[rank]) continue;
      const bool has_readers = workers_.masking == Masking::backward &&
                               std::count(it.workers.begin(), it.workers.end(), false) > 0;
      if (it.workers[worker]) made.held.push_back(c);
      if (has_readers) made.read.push_back(c);
    }
    take_buckets(made);
    make_programs(made);
    return made;
  }

  void take_buckets(WorkerRank& made) const {
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
      const HolderClass& it = made_.classes[buckets_[b].holder_class];
      if (!it.workers[made.worker] || !it.pipeline[made.rank]) continue;
      if (made_.members[buckets_[b].holder_class] > 1) made.buckets.push_back({b, {}});
    }
  }

  // The first segment of a stage that uses anything of a bucket.
  std::optional<SegmentId> first_use(const Bucket& bucket, std::size_t stage) const {
    const SegmentId begin = start_of(settings_.cut[stage]),
                    end = start_of(settings_.cut[stage + 1]);
    std::optional<SegmentId> first;
    for (const ParameterId parameter : bucket.parameters) {
      for (const SegmentId use : whole_.uses(parameter)) {
        if (begin <= use && use < end) first = std::min(first.value_or(use), use);
      }
    }
    return first;
  }

  void make_programs(WorkerRank& made) const {
    std::vector<Stage> segments;
    for (std::size_t s = 0; s < made.stages.size(); ++s) {
      const std::size_t stage = made.stages[s];
      std::vector<std::optional<SegmentId>> uses;  // by bucket
      std::set<SegmentId> complete;
      for (const auto& own : made.buckets) {
        uses.push_back(settings_.is_local ? std::nullopt : first_use(buckets_[own.bucket], stage));
        if (uses.back()) complete.insert(*uses.back());
      }
      for (std::size_t b = 0; b < uses.size(); ++b) {
        if (!uses[b]) continue;
        const auto place = std::distance(complete.begin(), complete.find(*uses[b]));
        made.buckets[b].uses.push_back({s, static_cast<std::size_t>(place)});
      }
      const std::size_t begin = settings_.cut[stage], end = settings_.cut[stage + 1];
      made.programs.push_back(stages_.number(workers_.all[made.worker], begin, end,
                                             {complete.begin(), complete.end()},
                                             settings_.recomputation, settings_.splits_backward));
      segments.push_back({StageId(stage), start_of(begin), start_of(end)});
    }
    if (settings_.has_stand_ins)
      made.stand_ins =
          gradient_stand_ins(*whole_.own(workers_.all[made.worker].part), segments, training_);
  }

  UnitNet& whole_;
  const Net& net_;
  const Workers& workers_;
  const Training& training_;
  const RankSettings& settings_;
  WorkerStages& stages_;
  std::vector<Bucket> buckets_;
  WorkerRanks made_;
};

}  // namespace

WorkerRanks worker_ranks(UnitNet& whole, const Workers& workers, const Training& training,
                         const RankSettings& settings, WorkerStages& stages) {
  return Ranks(whole, workers, training, settings, stages).run();
}

}  // namespace rehearse
