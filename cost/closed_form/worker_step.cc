#include "cost/closed_form/worker_step.h"

#include <algorithm>
#include <limits>

namespace rehearse {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// Steps that are not looked at.
constexpr std::size_t kWarmUp = 2;

class Steps {
 public:
  explicit Steps(const WorkerStep& step)
      : step_(step),
        ranks_(step.ranks->ranks),
        prices_(*step.prices),
        stages_(step.passes.size()),
        timelines_(step.passes.size()),
        begin_(ranks_.size(), 0),
        lane_(ranks_.size()),
        reduced_(ranks_.size(), std::vector<double>(step.ranks->classes.size(), kNever)),
        updated_(reduced_),
        now_(ranks_.size()) {
    for (std::size_t worker = 0; worker < stages_.size(); ++worker) {
      for (const WorkerPasses* passes : step.passes[worker])
        stages_[worker].push_back(&passes->passes);
    }
    own_of_.assign(step.ranks->buckets.size(), {});
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      for (std::size_t own = 0; own < ranks_[r].buckets.size(); ++own)
        own_of_[ranks_[r].buckets[own].bucket].emplace_back(r, own);
      order_.push_back(order_of(ranks_[r]));
    }
  }

  StepTimes run() {
    std::vector<double> ends;
    for (std::int64_t step = 0; step < step_.steps; ++step) {
      run_step();
      ends.push_back(*std::max_element(begin_.begin(), begin_.end()));
    }
    std::vector<double> lengths;
    for (std::size_t step = kWarmUp; step < ends.size(); ++step)
      lengths.push_back(ends[step] - ends[step - 1]);
    std::sort(lengths.begin(), lengths.end());
    StepTimes times;
    times.step_time = lengths[(lengths.size() - 1) / 2];
    look_at_ranks(times);
    return times;
  }

 private:
  std::size_t pipeline() const { return step_.ranks->pipeline; }
  const RankPasses& passes_of(std::size_t rank) const {
    return timelines_[ranks_[rank].worker].ranks[ranks_[rank].rank];
  }

  // ---- one step ---------------------------------------------------------------------------------

  void run_step() {
    run_passes();
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      lane_[r] = begin_[r], now_[r] = passes_of(r).end;
    if (!step_.is_local) reduce();
    add_up_squares();
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      update(r);
    if (step_.is_local && step_.synchronises) come_together();
    gather();
    broadcast();
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      begin_[r] = std::max({now_[r], lane_[r], passes_of(r).sent});
  }

  // A rank alone does the same whenever it begins.
  void run_passes() {
    for (std::size_t worker = 0; worker < stages_.size(); ++worker) {
      const auto from = begin_.begin() + static_cast<std::ptrdiff_t>(worker * pipeline());
      const std::vector<double> own(from, from + static_cast<std::ptrdiff_t>(pipeline()));
      if (pipeline() > 1 || !is_known_) {
        const std::size_t like = step_.like[worker];
        const bool same = like < worker && begin_of(like) == own &&
                          step_.replicas[like] == step_.replicas[worker];
        timelines_[worker] = same ? timelines_[like] : run_replicas(worker, own);
      } else {
        shift(timelines_[worker], own.front() - began_[worker]);
      }
    }
    began_ = begin_;
    is_known_ = true;
  }

  // Of a worker's replicas, which reduce together, the last one's.
  PassTimeline run_replicas(std::size_t worker, const std::vector<double>& begin) const {
    PassTimeline all;
    for (const PassLinks& links : *step_.replicas[worker])
      take_later(all, rehearse::run_passes(*step_.order, stages_[worker], links, begin));
    return all;
  }

  static void take_later(PassTimeline& all, PassTimeline one) {
    if (all.ranks.empty()) return void(all = std::move(one));
    for (std::size_t r = 0; r < one.ranks.size(); ++r) {
      RankPasses& rank = all.ranks[r];
      rank.begin = std::min(rank.begin, one.ranks[r].begin);
      for (const auto figure : {&RankPasses::end, &RankPasses::sent, &RankPasses::held})
        rank.*figure = std::max(rank.*figure, one.ranks[r].*figure);
    }
    for (std::size_t s = 0; s < one.last_pass.size(); ++s)
      all.last_pass[s] = std::max(all.last_pass[s], one.last_pass[s]);
  }

  std::vector<double> begin_of(std::size_t worker) const {
    const auto from = begin_.begin() + static_cast<std::ptrdiff_t>(worker * pipeline());
    return {from, from + static_cast<std::ptrdiff_t>(pipeline())};
  }

  static void shift(PassTimeline& timeline, double by) {
    RankPasses& rank = timeline.ranks.front();
    rank.begin += by, rank.end += by;
    for (double& last : timeline.last_pass)
      last += by;
  }

  double ready(std::size_t rank, const WorkerRank::OwnBucket& bucket) const {
    if (!step_.overlap) return passes_of(rank).end;
    const WorkerRank& own = ranks_[rank];
    double ready = kNever;
    for (const auto& [stage, completion] : bucket.uses) {
      const std::size_t number = own.stages[stage];
      ready = std::max(ready, timelines_[own.worker].last_pass[number] +
                                  step_.passes[own.worker][number]->complete[completion].ready);
    }
    return ready;
  }

  // Together, when the last one has come to it.
  template <class Ready>
  void meet(std::size_t bucket, double seconds, const Ready& when,
            std::vector<std::vector<double>>* ended) {
    const std::size_t number = step_.ranks->buckets[bucket].holder_class;
    double begin = kNever;
    for (const auto& [rank, own] : own_of_[bucket])
      begin = std::max({begin, lane_[rank], when(rank, own)});
    for (const auto& [rank, own] : own_of_[bucket]) {
      lane_[rank] = begin + seconds;
      if (ended != nullptr) (*ended)[rank][number] = lane_[rank];
    }
  }

  void reduce() {
    for (std::size_t b = 0; b < own_of_.size(); ++b)
      meet(
          b, prices_.buckets[b].reduction,
          [&](std::size_t rank, std::size_t own) { return ready(rank, ranks_[rank].buckets[own]); },
          &reduced_);
  }

  void add_up_squares() {
    const std::vector<double> passed = now_;
    for (const WorkerNorm& norm : *step_.norms) {
      std::vector<double> when;
      for (const std::size_t r : norm.ranks)
        when.push_back((step_.is_local ? passed[r] : std::max(passed[r], lane_[r])) +
                       prices_.squares[r]);
      when = norm.exchange.run(std::move(when));
      for (std::size_t member = 0; member < when.size(); ++member) {
        double& now = now_[norm.ranks[member]];
        now = std::max(now, when[member]);
      }
    }
    for (std::size_t r = 0; r < ranks_.size() && !step_.norms->empty(); ++r)
      lane_[r] = std::max(lane_[r], now_[r]);
  }

  // Classes that nobody shares first, then as their reductions end; where these follow the updates,
  // in their order, and then the others.
  std::vector<std::size_t> order_of(const WorkerRank& rank) const {
    std::vector<std::size_t> reduced, alone;
    for (const auto& own : rank.buckets) {
      const std::size_t number = step_.ranks->buckets[own.bucket].holder_class;
      const auto known = std::find(reduced.begin(), reduced.end(), number);
      if (step_.is_local && known != reduced.end()) continue;
      if (known != reduced.end()) reduced.erase(known);
      reduced.push_back(number);
    }
    for (const std::size_t number : rank.held) {
      if (std::find(reduced.begin(), reduced.end(), number) == reduced.end())
        alone.push_back(number);
    }
    auto& first = step_.is_local ? reduced : alone;
    const auto& second = step_.is_local ? alone : reduced;
    first.insert(first.end(), second.begin(), second.end());
    return std::move(first);
  }

  bool comes_together(std::size_t number) const {
    return step_.synchronises && (prices_.classes[number].is_reduced || step_.has_outer);
  }

  void update(std::size_t rank) {
    double& now = now_[rank];
    for (const std::size_t number : order_[rank]) {
      const WorkerPrices::OfClass& price = prices_.classes[number];
      if (!step_.is_local && price.is_reduced) now = std::max(now, reduced_[rank][number]);
      now += price.optimizer;
      if (step_.is_local && comes_together(number)) now += price.outer_gradient;
      updated_[rank][number] = now;
    }
  }

  void come_together() {
    std::vector<std::vector<double>> averaged = updated_;
    for (std::size_t b = 0; b < own_of_.size(); ++b) {
      const std::size_t number = step_.ranks->buckets[b].holder_class;
      meet(
          b, prices_.buckets[b].reduction,
          [&](std::size_t rank, std::size_t) { return updated_[rank][number]; }, &averaged);
    }
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      step_outer(r, averaged[r]);
  }

  // Those that nobody shares as they were updated, then as averages arrive.
  void step_outer(std::size_t rank, const std::vector<double>& averaged) {
    for (const bool reduced : {false, true}) {
      std::vector<std::pair<double, std::size_t>> ready;
      for (const std::size_t number : order_[rank]) {
        if (comes_together(number) && prices_.classes[number].is_reduced == reduced)
          ready.emplace_back(averaged[number], number);
      }
      std::stable_sort(ready.begin(), ready.end());
      for (const auto& [when, number] : ready)
        now_[rank] = std::max(now_[rank], when) + prices_.classes[number].outer_step;
    }
  }

  void gather() {
    for (std::size_t b = 0; b < own_of_.size(); ++b) {
      const std::size_t number = step_.ranks->buckets[b].holder_class;
      if (!prices_.classes[number].is_sharded) continue;
      meet(
          b, prices_.buckets[b].gather,
          [&](std::size_t rank, std::size_t) { return updated_[rank][number]; }, nullptr);
    }
  }

  // From who holds a class to those who have read it for the last time.
  void broadcast() {
    for (std::size_t c = 0; c < step_.groups->size(); ++c) {
      const WorkerGroup& group = (*step_.groups)[c];
      if (group.readers.empty()) continue;
      double begin = kNever;
      for (const std::size_t rank : group.members)
        begin = std::max({begin, lane_[rank], updated_[rank][c]});
      for (const std::size_t rank : group.readers)
        begin = std::max({begin, lane_[rank], passes_of(rank).end});
      for (const std::size_t rank : group.members)
        lane_[rank] = begin + prices_.classes[c].sent;
      for (const std::size_t rank : group.readers)
        lane_[rank] = begin + prices_.classes[c].broadcast;
    }
  }

  // ---- figures of the last step -----------------------------------------------------------------

  double optimizer_seconds(std::size_t rank) const {
    double sum = step_.norms->empty() ? 0 : prices_.squares[rank];
    for (const std::size_t number : ranks_[rank].held) {
      const WorkerPrices::OfClass& price = prices_.classes[number];
      sum += price.optimizer;
      if (step_.is_local && comes_together(number)) sum += price.outer_gradient + price.outer_step;
    }
    return sum;
  }

  void look_at_ranks(StepTimes& times) const {
    double longest = -1;
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      const RankPasses& own = passes_of(r);
      // The last stage's labels are loaded when its rank begins the step.
      const bool loads_first =
          ranks_[r].rank > 0 && ranks_[r].rank + 1 == pipeline() && ranks_[r].stages.size() == 1;
      const double begin = loads_first ? std::min(own.begin, began_[r]) : own.begin;
      if (own.end - begin > longest) {
        longest = own.end - begin;
        times.bubble_fraction = longest > 0 ? std::max(0.0, 1 - own.busy / longest) : 0;
      }
      times.contention = std::max(times.contention, contention(r));
      const double update = optimizer_seconds(r);
      if (own.busy + update <= times.compute) continue;
      times.compute = own.busy + update;
      times.link = own.exchanging + std::max(0.0, begin_[r] - own.end - update);
    }
  }

  double reductions_of(std::size_t number) const {
    if (step_.is_local && !step_.synchronises) return 0;
    double sum = prices_.classes[number].broadcast;
    for (std::size_t b = 0; b < own_of_.size(); ++b) {
      if (step_.ranks->buckets[b].holder_class == number)
        sum += prices_.buckets[b].reduction + prices_.buckets[b].gather;
    }
    return sum;
  }

  // Reductions that the rank's own meet on links: of classes that it does not hold, of which it has
  // a part in the broadcast only; and its own, where messages of passes cross the same links.
  double contention(std::size_t rank) const {
    const WorkerRank& own = ranks_[rank];
    Crossed crossed;
    double all = 0;
    const auto is_among = [](const std::vector<std::size_t>& classes, std::size_t number) {
      return std::binary_search(classes.begin(), classes.end(), number);
    };
    // Of each class what the rank takes part in.
    std::vector<double> parts;
    for (std::size_t c = 0; c < step_.groups->size(); ++c) {
      const double whole = reductions_of(c);
      parts.push_back(is_among(own.held, c)   ? whole
                      : is_among(own.read, c) ? std::min(whole, prices_.classes[c].broadcast)
                                              : 0);
      all += parts.back();
      if (parts.back() > 0) crossed.add((*step_.groups)[c].crossed);
    }
    const auto meets = [&](const Crossed& other) { return crossed.meets(other); };
    double sum = 0;
    for (std::size_t c = 0; c < step_.groups->size(); ++c) {
      if (meets((*step_.groups)[c].crossed)) sum += reductions_of(c) - parts[c];
    }
    const double messages = messages_of(own);
    if (step_.mesh->exchanges_meet_messages) sum += messages;
    const bool wraps = own.stages.size() > 1;
    sum += messages * step_.mesh->held_of(wraps)[own.rank];
    if (meets(step_.mesh->exchanges)) return sum + all;
    return meets(step_.mesh->between) ? sum + std::min(messages, all) : sum;
  }

  double messages_of(const WorkerRank& rank) const {
    double sum = 0;
    for (const std::size_t stage : rank.stages) {
      if (stage < step_.links.forward.size()) sum += step_.links.forward[stage];
      if (stage > 0) sum += step_.links.backward[stage - 1];
    }
    return sum * static_cast<double>(step_.order->shape.micro_batches);
  }

  const WorkerStep& step_;
  const std::vector<WorkerRank>& ranks_;
  const WorkerPrices& prices_;
  std::vector<std::vector<const StagePasses*>> stages_;  // by worker
  std::vector<PassTimeline> timelines_;                  // by worker, of this step
  // By bucket: who reduces it, and which of its own it is.
  std::vector<std::vector<std::pair<std::size_t, std::size_t>>> own_of_;
  std::vector<std::vector<std::size_t>> order_;  // by rank: classes as they are updated
  // By rank: when it begins the step, and began the one before; when its reductions have ended.
  std::vector<double> begin_, began_, lane_;
  std::vector<std::vector<double>> reduced_, updated_;  // by rank and class
  std::vector<double> now_;                             // by rank: what it has computed
  bool is_known_ = false;
};

}  // namespace

StepTimes step_times(const WorkerStep& step) {
  return Steps(step).run();
}

}  // namespace rehearse
