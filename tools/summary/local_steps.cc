#include <algorithm>

#include "model/base/check.h"
#include "tools/summary/summary.h"

namespace rehearse {
namespace {

// Means over a period: of all its steps but the last one and of that.
class Period {
 public:
  Period(const StrategySummary& local, const StrategySummary& last, std::int64_t steps)
      : local_(local), last_(last), steps_(steps) {
    REHEARSE_CHECK(local.ranks.size() == last.ranks.size(), "{} ranks and {}", local.ranks.size(),
                   last.ranks.size());
  }

  StrategySummary run() {
    StrategySummary mean = last_;
    mean.plan_hash = local_.plan_hash;
    mean.local_steps = {steps_, local_.step_time, last_.step_time};
    mean.step_time = of(local_.step_time, last_.step_time);
    mean.step_times.reset();  // of one kind of step only
    const double faster = last_.step_time / mean.step_time;
    mean.samples_per_s *= faster;
    if (mean.tokens_per_s) *mean.tokens_per_s *= faster;
    if (mean.mfu) *mean.mfu *= faster;
    mean.bubble_fraction = of(local_.bubble_fraction, last_.bubble_fraction);
    mean.compute = of(local_.compute, last_.compute);
    mean.exposed_communication = of(local_.exposed_communication, last_.exposed_communication);
    mean.idle = of(local_.idle, last_.idle);
    for (std::size_t r = 0; r < mean.ranks.size(); ++r)
      mean.ranks[r] = of(local_.ranks[r], last_.ranks[r]);
    mean.links = links(mean.step_time);
    mean.kinds = kinds();
    take_memory(mean);
    return mean;
  }

 private:
  double of(double local, double last) const {
    const auto n = static_cast<double>(steps_);
    return local + (last - local) / n;
  }
  Seconds of(Seconds local, Seconds last) const {
    return Seconds::seconds(of(local.seconds(), last.seconds()));
  }
  Bytes of(Bytes local, Bytes last) const { return ((steps_ - 1) * local + last) / steps_; }

  RankSummary of(const RankSummary& local, const RankSummary& last) const {
    RankSummary mean = last;
    if (local.traffic && last.traffic)
      mean.traffic = TrafficSummary{of(local.traffic->sent, last.traffic->sent),
                                    of(local.traffic->received, last.traffic->received)};
    if (local.memory && last.memory) mean.memory = larger(*local.memory, *last.memory);
    mean.compute = of(local.compute, last.compute);
    mean.exposed_communication = of(local.exposed_communication, last.exposed_communication);
    mean.idle = of(local.idle, last.idle);
    return mean;
  }

  static MemorySummary larger(const MemorySummary& a, const MemorySummary& b) {
    return {std::max(a.peak, b.peak), std::max(a.arena, b.arena),
            std::max(a.arena_live, b.arena_live)};
  }

  // Those that are used in either kind of step: first the last one's.
  std::vector<LinkSummary> links(Seconds mean_step) const {
    std::vector<LinkSummary> links;
    for (const LinkSummary& link : last_.links)
      links.push_back(of(find(local_, link.name), link, mean_step));
    for (const LinkSummary& link : local_.links) {
      const LinkSummary last = find(last_, link.name);
      if (last.bytes == Bytes{}) links.push_back(of(link, last, mean_step));
    }
    return links;
  }

  static LinkSummary find(const StrategySummary& step, const std::string& name) {
    const auto found = std::find_if(step.links.begin(), step.links.end(),
                                    [&](const LinkSummary& it) { return it.name == name; });
    return found == step.links.end() ? LinkSummary{name, {}, 0} : *found;
  }

  // Utilisation by time.
  LinkSummary of(const LinkSummary& local, const LinkSummary& last, Seconds mean_step) const {
    const Seconds busy =
        of(local.utilisation * local_.step_time, last.utilisation * last_.step_time);
    return {last.name, of(local.bytes, last.bytes), busy / mean_step};
  }

  // All kinds of the others are among those of the last step.
  std::vector<KindSummary> kinds() const {
    std::vector<KindSummary> kinds = last_.kinds;
    for (KindSummary& kind : kinds) {
      const auto same = std::find_if(local_.kinds.begin(), local_.kinds.end(),
                                     [&](const KindSummary& it) { return it.kind == kind.kind; });
      kind.busy = of(same == local_.kinds.end() ? Seconds{} : same->busy, kind.busy);
    }
    return kinds;
  }

  void take_memory(StrategySummary& mean) const {
    take_worst_memory(mean);
    if (local_.memory && last_.memory && local_.memory->peak > last_.memory->peak)
      mean.pools = local_.pools;
    if (mean.largest) {
      mean.largest->state = std::max(local_.largest->state, last_.largest->state);
      mean.largest->activations = std::max(local_.largest->activations, last_.largest->activations);
    }
    if (mean.fits) mean.fits = *local_.fits && *last_.fits;
  }

  const StrategySummary& local_;
  const StrategySummary& last_;
  const std::int64_t steps_;
};

}  // namespace

StrategySummary over_period(const StrategySummary& local, const StrategySummary& synchronising,
                            std::int64_t steps) {
  return Period(local, synchronising, steps).run();
}

// One after the other from the last, the k-th with weight 1/k, so that the first one ends it.
StrategySummary mean_of(const std::vector<StrategySummary>& steps) {
  StrategySummary mean = steps.back();
  for (std::size_t k = 2; k <= steps.size(); ++k)
    mean = over_period(mean, steps[steps.size() - k], static_cast<std::int64_t>(k));
  mean.local_steps = steps.front().local_steps;
  mean.plan_hash = steps.front().plan_hash;
  return mean;
}

void take_memory_of(StrategySummary& summary, const StrategySummary& other) {
  for (std::size_t r = 0; r < summary.ranks.size(); ++r)
    summary.ranks[r].memory = other.ranks[r].memory;
  summary.memory = other.memory;
  summary.pools = other.pools;
  summary.largest = other.largest;
  summary.fits = other.fits;
}

}  // namespace rehearse
