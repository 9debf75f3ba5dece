#include "cost/closed_form/rank_updates.h"

#include <algorithm>
#include <limits>

#include "cost/cost_model.h"
#include "model/plan/op_work.h"

namespace rehearse {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

class Reductions {
 public:
  Reductions(const RankBuckets& held, const Training& training, const Device& device,
             const UpdateSettings& settings)
      : held_(held),
        training_(training),
        state_(state_sizes(training)),
        device_(device),
        settings_(settings),
        own_(held.classes.size(), 0) {
    made_.held = &held;
  }

  RankReductions run() {
    count_own();
    hold();
    for (const HeldBucket& bucket : held_.buckets)
      reduce(bucket);
    made_.squares = price_work(squares_work(training_, squared()), device_).seconds.seconds();
    return std::move(made_);
  }

 private:
  // Classes that ranks of one pipeline share are not sharded.
  bool is_sharded(const HeldClass& held) const {
    return held.is_reduced && !held.is_tied && settings_.sharding != Sharding::none;
  }

  const RingGroup& group_of(const HeldClass& held) const {
    return holders_of(*settings_.mesh, held, settings_.rank);
  }

  // Elements of each class that this rank updates.
  void count_own() {
    for (std::size_t c = 0; c < own_.size(); ++c)
      own_[c] = is_sharded(held_.classes[c]) ? 0 : held_.classes[c].elements;
    for (const HeldBucket& bucket : held_.buckets) {
      const HeldClass& held = held_.classes[bucket.held];
      if (!is_sharded(held)) continue;
      const auto members = static_cast<std::int64_t>(group_of(held).members);
      own_[bucket.held] += (bucket.elements + members - 1) / members;
    }
  }

  std::int64_t squared() const {
    std::int64_t sum = 0;
    for (std::size_t c = 0; c < own_.size(); ++c) {
      const HeldClass& held = held_.classes[c];
      const auto sharers = static_cast<std::int64_t>(held.is_reduced ? group_of(held).members : 1);
      sum += is_sharded(held) ? own_[c] : (held.elements + sharers - 1) / sharers;
    }
    return sum;
  }

  void hold() {
    for (std::size_t c = 0; c < own_.size(); ++c) {
      const HeldClass& held = held_.classes[c];
      made_.state +=
          held.elements * (state_.parameter + state_.gradient) + own_[c] * state_.optimizer;
      RankReductions::Class& made = made_.classes.emplace_back();
      made.optimizer = price_work(optimizer_work(training_, own_[c]), device_).seconds.seconds();
      made.is_reduced = held.is_reduced;
      made.is_tied = held.is_tied;
    }
  }

  void reduce(const HeldBucket& bucket) {
    const HeldClass& held = held_.classes[bucket.held];
    const Priced& priced = price(bucket.elements, held);
    made_.room = std::max(made_.room, priced.room);
    made_.buckets.push_back({made_.total, priced.seconds, priced.room});
    if (held.is_tied) return;
    made_.total += priced.seconds;
    made_.classes[bucket.held].gather += priced.gather;
  }

  struct Priced {
    const RingGroup* group;
    bool is_sharded;
    std::int64_t elements, room;
    double seconds, gather;
  };

  // Few sizes come again and again.
  const Priced& price(std::int64_t elements, const HeldClass& held) {
    const RingGroup& group = group_of(held);
    const bool sharded = is_sharded(held);
    for (const Priced& known : priced_) {
      if (known.elements == elements && known.group == &group && known.is_sharded == sharded)
        return known;
    }
    const auto kind = sharded ? CollectiveKind::reduce_scatter : CollectiveKind::all_reduce;
    const auto seconds = [&](CollectiveKind of, std::int64_t element_bytes) {
      return ring_seconds(group, of, device_, elements, element_bytes).seconds();
    };
    priced_.push_back(
        {&group, sharded, elements,
         room_for({kind, CollectiveAlgorithm::ring, group.members}, elements) * state_.gradient,
         seconds(kind, state_.gradient),
         sharded ? seconds(CollectiveKind::all_gather, state_.parameter) : 0});
    return priced_.back();
  }

  const RankBuckets& held_;
  const Training& training_;
  const StateSizes state_;
  const Device& device_;
  const UpdateSettings& settings_;
  std::vector<std::int64_t> own_;  // by class
  std::vector<Priced> priced_;
  RankReductions made_;
};

}  // namespace

RankReductions rank_reductions(const RankBuckets& held, const Training& training,
                               const Device& device, const UpdateSettings& settings) {
  return Reductions(held, training, device, settings).run();
}

const RankReductions& ReductionTable::of(const RankBuckets& held, const UpdateSettings& settings) {
  // Where ranks stand alike, one says what all pay.
  const std::size_t rank = settings.mesh->like[settings.rank];
  const auto [known, is_new] = known_.try_emplace({&held, settings.mesh, rank, settings.sharding});
  if (is_new)
    known->second =
        rank_reductions(held, training_, device_, {settings.sharding, settings.mesh, rank});
  return known->second;
}

RankUpdates rank_updates(const RankReductions& reductions,
                         const std::vector<const StagePasses*>& passes) {
  RankUpdates made;
  made.reductions = &reductions;
  made.reducing.assign(passes.size(), 0);
  made.after_class.resize(reductions.classes.size());
  // By stage: of the buckets so far, when the last one that waits is full, before which the lane
  // has taken nothing.
  std::vector<double> latest(passes.size(), kNever), ready(passes.size());
  const auto since_begin = [&](double total, std::vector<double>& after) {
    after.clear();
    for (const double stage : latest)
      after.push_back(stage + total);
  };
  for (std::size_t b = 0; b < reductions.buckets.size(); ++b) {
    const HeldBucket& bucket = reductions.held->buckets[b];
    const RankReductions::Bucket& priced = reductions.buckets[b];
    std::fill(ready.begin(), ready.end(), kNever);
    for (const HeldBucket::Use& use : bucket.uses) {
      const StagePasses& own = *passes[use.stage];
      const auto full = own.figures->completion(use.block, use.segment, own.repeats);
      ready[use.stage] = std::max(ready[use.stage], full.ready);
      // Of several stages the first one's last pass is the last.
      if (&use == &bucket.uses.front())
        made.reducing[use.stage] = std::max(made.reducing[use.stage], full.live + priced.room);
    }
    if (reductions.classes[bucket.held].is_tied) {
      made.tied.push_back({ready, priced.seconds});
      continue;
    }
    for (std::size_t s = 0; s < ready.size(); ++s)
      latest[s] = std::max(latest[s], ready[s] - priced.before);
    since_begin(priced.before + priced.seconds, made.after_class[bucket.held]);
  }
  since_begin(reductions.total, made.after);
  return made;
}

}  // namespace rehearse
