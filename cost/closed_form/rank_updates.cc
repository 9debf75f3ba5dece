#include "cost/closed_form/rank_updates.h"

#include <algorithm>
#include <limits>

#include "cost/cost_model.h"
#include "model/plan/op_work.h"

namespace rehearse {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

class Updates {
 public:
  Updates(const RankStages& stages, const Training& training, const Device& device,
          const UpdateSettings& settings)
      : stages_(stages),
        training_(training),
        state_(state_sizes(training)),
        device_(device),
        settings_(settings),
        latest_(stages.passes.size(), kNever) {
    made_.after.assign(stages.passes.size(), kNever);
    made_.reducing.assign(stages.passes.size(), 0);
  }

  RankUpdates run() {
    hold();
    for (const HeldBucket& bucket : stages_.buckets->buckets)
      reduce(bucket);
    made_.after = since_begin(latest_);
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

  std::int64_t chunk(const HeldBucket& bucket, const HeldClass& held) const {
    const auto members = static_cast<std::int64_t>(group_of(held).members);
    return (bucket.elements + members - 1) / members;
  }

  // Elements of a class that this rank updates.
  std::int64_t own_elements(std::size_t number) const {
    const HeldClass& held = stages_.buckets->classes[number];
    if (!is_sharded(held)) return held.elements;
    std::int64_t sum = 0;
    for (const HeldBucket& bucket : stages_.buckets->buckets) {
      if (bucket.held == number) sum += chunk(bucket, held);
    }
    return sum;
  }

  std::int64_t squared() const {
    std::int64_t sum = 0;
    for (std::size_t c = 0; c < stages_.buckets->classes.size(); ++c) {
      const HeldClass& held = stages_.buckets->classes[c];
      const auto sharers = static_cast<std::int64_t>(held.is_reduced ? group_of(held).members : 1);
      sum += is_sharded(held) ? own_elements(c) : (held.elements + sharers - 1) / sharers;
    }
    return sum;
  }

  void hold() {
    for (std::size_t c = 0; c < stages_.buckets->classes.size(); ++c) {
      const HeldClass& held = stages_.buckets->classes[c];
      const std::int64_t own = own_elements(c);
      made_.state += held.elements * (state_.parameter + state_.gradient) + own * state_.optimizer;
      RankUpdates::Class& made = made_.classes.emplace_back();
      made.optimizer = price_work(optimizer_work(training_, own), device_).seconds.seconds();
      made.is_reduced = held.is_reduced;
      made.is_tied = held.is_tied;
    }
  }

  void reduce(const HeldBucket& bucket) {
    const HeldClass& held = stages_.buckets->classes[bucket.held];
    const RingGroup& group = group_of(held);
    const bool sharded = is_sharded(held);
    const auto kind = sharded ? CollectiveKind::reduce_scatter : CollectiveKind::all_reduce;
    const double seconds = ring(group, kind, bucket.elements, state_.gradient);
    const std::int64_t room =
        room_for({kind, CollectiveAlgorithm::ring, group.members}, bucket.elements) *
        state_.gradient;
    made_.room = std::max(made_.room, room);
    std::vector<double> ready(stages_.passes.size(), kNever);
    for (const HeldBucket::Use& use : bucket.uses) {
      const std::size_t s = use.stage;
      const StagePasses& passes = *stages_.passes[s];
      const StageFigures::Completion full =
          passes.figures->completion(use.block, use.segment, passes.repeats);
      ready[s] = std::max(ready[s], full.ready);
      // Of several stages the first one's last pass is the last.
      if (&use == &bucket.uses.front())
        made_.reducing[s] = std::max(made_.reducing[s], full.live + room);
    }
    if (held.is_tied) {
      made_.tied.push_back({std::move(ready), seconds});
      return;
    }
    for (std::size_t s = 0; s < ready.size(); ++s)
      latest_[s] = std::max(latest_[s], ready[s] - made_.total);
    made_.total += seconds;
    RankUpdates::Class& own = made_.classes[bucket.held];
    own.after = since_begin(latest_);
    if (sharded)
      own.gather += ring(group, CollectiveKind::all_gather, bucket.elements, state_.parameter);
  }

  // Few sizes come again and again.
  double ring(const RingGroup& group, CollectiveKind kind, std::int64_t elements,
              std::int64_t bytes) {
    for (const Ring& known : rings_) {
      if (known.group == &group && known.kind == kind && known.elements == elements)
        return known.seconds;
    }
    const double seconds = ring_seconds(group, kind, device_, elements, bytes).seconds();
    rings_.push_back({&group, kind, elements, seconds});
    return seconds;
  }

  // latest: when a bucket is full, without what those before it have taken.
  std::vector<double> since_begin(const std::vector<double>& latest) const {
    std::vector<double> after;
    for (const double stage : latest)
      after.push_back(stage + made_.total);
    return after;
  }

  struct Ring {
    const RingGroup* group;
    CollectiveKind kind;
    std::int64_t elements;
    double seconds;
  };

  const RankStages& stages_;
  const Training& training_;
  const StateSizes state_;
  const Device& device_;
  const UpdateSettings& settings_;
  // By stage: of the buckets so far, when the last one that waits is full, before which the lane
  // has taken nothing.
  std::vector<double> latest_;
  std::vector<Ring> rings_;
  RankUpdates made_;
};

}  // namespace

RankUpdates rank_updates(const RankStages& stages, const Training& training, const Device& device,
                         const UpdateSettings& settings) {
  return Updates(stages, training, device, settings).run();
}

}  // namespace rehearse
