#include "model/schedule/pipelines/zb_auto.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <queue>
#include <set>
#include <utility>

#include "model/base/check.h"
#include "model/schedule/pipelines/pipelines.h"

namespace rehearse::pipelines {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

struct Policy {
  std::vector<std::size_t> warm_up;  // by rank: forwards before the first backward
  // Seconds that a rank may idle in all before a weight gradient may delay its next pass.
  double idle_allowance = 0;
  // By rank: weight gradients owed at most before the next pass; empty: no such rule.
  std::vector<std::size_t> lag;
};

struct Schedule {
  std::vector<std::vector<Slot>> ranks;
  double cost = kNever;  // longest span of a rank
  double most_idle = 0;
};

// Plays the pipeline once. Every rank runs its warm-up, then backwards and forwards in turn; only
// where its weight gradients go is decided as time passes: into gaps, and where a forward needs
// their memory.
class ListScheduler {
 public:
  ListScheduler(const PipelineRequest& request, double kept_after_input, const Policy& policy)
      : costs_(request.costs),
        live_limit_(request.live_limit),
        kept_(kept_after_input),
        policy_(policy),
        micro_batches_(static_cast<std::size_t>(request.shape.micro_batches)),
        ranks_(static_cast<std::size_t>(request.shape.ranks)) {
    for (Rank& rank : ranks_) {
      rank.forward_ready.assign(micro_batches_, kNever);
      rank.backward_ready.assign(micro_batches_, kNever);
    }
    std::fill(ranks_[0].forward_ready.begin(), ranks_[0].forward_ready.end(), 0);
  }

  Schedule run() {
    wake(0, 0);
    while (!events_.empty()) {
      const auto [time, r] = events_.top();
      events_.pop();
      if (time >= ranks_[r].free) choose(r, time);
    }
    Schedule schedule{{}, 0, 0};
    for (Rank& rank : ranks_) {
      schedule.cost = std::max(schedule.cost, rank.free - rank.started);
      schedule.most_idle = std::max(schedule.most_idle, rank.idle);
      schedule.ranks.push_back(std::move(rank.order));
    }
    return schedule;
  }

 private:
  struct Rank {
    double free = 0, started = 0, idle = 0;
    std::size_t forwards = 0, inputs = 0, weights = 0;
    std::vector<double> forward_ready, backward_ready;  // by micro-batch; kNever: not known yet
    std::vector<Slot> order;
  };
  using Event = std::pair<double, std::size_t>;  // time, rank: a total order

  void wake(double time, std::size_t r) { events_.emplace(time, r); }

  // A predecessor's end is known from its start on, so whoever waits knows how long the gap is. A
  // gap of unknown length is at least as long as a pass.
  void choose(std::size_t r, double now) {
    const Rank& rank = ranks_[r];
    if (!policy_.lag.empty() && rank.inputs - rank.weights > policy_.lag[r])
      return start(r, Task::backward_weight, now);
    const bool forward = forward_is_next(r);
    // There is one to run: warm_up <= live_limit leaves room once none is owed.
    if (forward && !has_room(rank)) return start(r, Task::backward_weight, now);
    const double next =
        forward ? rank.forward_ready[rank.forwards]
                : (rank.inputs < micro_batches_ ? rank.backward_ready[rank.inputs] : kNever);
    if (next <= now) return start(r, forward ? Task::forward : Task::backward_input, now);
    if (rank.weights < rank.inputs && fills(r, next - now))
      return start(r, Task::backward_weight, now);
    if (next < kNever) wake(next, r);
  }

  bool forward_is_next(std::size_t r) const {
    const Rank& rank = ranks_[r];
    return rank.forwards < micro_batches_ && rank.forwards < rank.inputs + policy_.warm_up[r];
  }

  bool has_room(const Rank& rank) const {
    const auto whole = static_cast<double>(rank.forwards - rank.inputs);
    return whole + kept_ * static_cast<double>(rank.inputs - rank.weights) + 1 <= live_limit_;
  }

  // Whether a weight gradient goes into the gap before the next pass although that may end later.
  bool fills(std::size_t r, double gap) const {
    return gap >= costs_.backward_weight[r] || ranks_[r].idle + gap > policy_.idle_allowance;
  }

  void start(std::size_t r, Task task, double now) {
    Rank& rank = ranks_[r];
    if (rank.order.empty()) rank.started = rank.free = now;
    rank.idle += now - rank.free;
    if (task == Task::forward) {
      forward(r, now);
    } else if (task == Task::backward_input) {
      backward_input(r, now);
    } else {
      rank.free = now + costs_.backward_weight[r];
      add(r, task, rank.weights++);
    }
    wake(rank.free, r);
  }

  void forward(std::size_t r, double now) {
    Rank& rank = ranks_[r];
    const std::size_t m = rank.forwards++;
    rank.free = now + costs_.forward[r];
    add(r, Task::forward, m);
    if (r + 1 == ranks_.size()) {
      rank.backward_ready[m] = rank.free;
    } else {
      ranks_[r + 1].forward_ready[m] = rank.free + costs_.transfer;
      wake(rank.free + costs_.transfer, r + 1);
    }
  }

  void backward_input(std::size_t r, double now) {
    Rank& rank = ranks_[r];
    const std::size_t m = rank.inputs++;
    rank.free = now + costs_.backward_input[r];
    add(r, Task::backward_input, m);
    if (r == 0) return;
    ranks_[r - 1].backward_ready[m] = rank.free + costs_.transfer;
    wake(rank.free + costs_.transfer, r - 1);
  }

  void add(std::size_t r, Task task, std::size_t m) {
    ranks_[r].order.push_back({task, StageId(r), MicroBatchId(m)});
  }

  const PipelineCosts& costs_;
  const double live_limit_, kept_;
  const Policy& policy_;
  const std::size_t micro_batches_;
  std::vector<Rank> ranks_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
};

// Whole activations within the limit, of which more than m are never needed.
std::size_t limit_of(const PipelineRequest& request) {
  return static_cast<std::size_t>(
      std::min(request.live_limit, static_cast<double>(request.shape.micro_batches)));
}

// The forwards that fit between a rank's first forward and its first backward, if no rank delays
// either; with `begun` in [0, 1), also one of which at least 1 - begun fits.
std::vector<std::size_t> fitting(const PipelineRequest& request, double begun) {
  const PipelineCosts& costs = request.costs;
  const auto p = static_cast<std::size_t>(request.shape.ranks);
  std::vector<double> first_forward(p, 0);
  for (std::size_t r = 1; r < p; ++r)
    first_forward[r] = first_forward[r - 1] + costs.forward[r - 1] + costs.transfer;
  double first_backward = first_forward[p - 1] + costs.forward[p - 1];
  std::vector<std::size_t> counts(p, 1);
  for (std::size_t r = p - 1; r-- > 0;) {
    first_backward += costs.backward_input[r + 1] + costs.transfer;
    const double fit = (first_backward - first_forward[r]) / costs.forward[r] + begun;
    // 0 / 0 is no fit. A rank that ran fewer than the next one would keep it waiting for ever.
    const bool within = fit < static_cast<double>(limit_of(request));
    counts[r] = std::max(counts[r + 1], within ? static_cast<std::size_t>(fit) : limit_of(request));
  }
  return counts;
}

// ZB-H1 and ZB-H2, which also place weight gradients; clipped where the limit is lower.
std::vector<Policy> handcrafted(const PipelineRequest& request) {
  const auto p = static_cast<std::size_t>(request.shape.ranks);
  Policy h1, h2;
  h1.idle_allowance = h2.idle_allowance = kNever;
  for (std::size_t r = 0; r < p; ++r) {
    h1.warm_up.push_back(std::min(p - r, limit_of(request)));
    h1.lag.push_back(r);
    h2.warm_up.push_back(std::min(2 * (p - r) - 1, limit_of(request)));
    h2.lag.push_back(2 * r + 1);
  }
  return {h1, h2};
}

// Warm-ups worth a try: those of ZB-H1 and ZB-H2, and those that fit.
std::set<std::vector<std::size_t>> warm_ups(const PipelineRequest& request) {
  std::set<std::vector<std::size_t>> tries;
  for (const Policy& policy : handcrafted(request))
    tries.insert(policy.warm_up);
  constexpr double kNearlyAll = 1 - 1e-9;
  for (const double begun : {0., .5, kNearlyAll})
    tries.insert(fitting(request, begun));
  return tries;
}

// The best schedule so far.
class Search {
 public:
  Search(const PipelineRequest& request, double kept_after_input)
      : request_(request), kept_(kept_after_input) {}

  struct Outcome {
    double most_idle;
    bool better;  // than all before
  };
  Outcome attempt(const Policy& policy) {
    Schedule schedule = ListScheduler(request_, kept_, policy).run();
    const double idle = schedule.most_idle;
    const bool better = schedule.cost < best_.cost;
    if (better) {
      best_ = std::move(schedule);
      policy_ = policy;
    }
    return {idle, better};
  }

  const Policy& best_policy() const { return policy_; }
  std::vector<std::vector<Slot>> take() { return std::move(best_.ranks); }

 private:
  const PipelineRequest& request_;
  const double kept_;
  Schedule best_;
  Policy policy_;
};

// Allowances between none and all of the idle time that always filling gaps leaves.
void try_allowances(Search& search, const std::vector<std::size_t>& warm_up) {
  const double most_idle = search.attempt({warm_up, 0, {}}).most_idle;
  for (const double share : {.02, .05, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1.})
    search.attempt({warm_up, share * most_idle, {}});
}

// With one forward more, or less, before rank r's first backward. A rank that ran fewer than the
// next one would keep it waiting for ever; more than the one before has no input to run on.
std::optional<Policy> changed(Policy policy, std::size_t r, bool more, std::size_t limit) {
  auto& counts = policy.warm_up;
  const std::size_t most = r == 0 ? limit : counts[r - 1];
  const std::size_t fewest = r + 1 < counts.size() ? counts[r + 1] : 1;
  if (more ? counts[r] >= most : counts[r] <= fewest) return std::nullopt;
  counts[r] = more ? counts[r] + 1 : counts[r] - 1;
  return policy;
}

// Hill climbing; the bound on its tries keeps placing 32 ranks and 512 micro-batches under a
// second.
void improve(Search& search, const PipelineRequest& request) {
  const auto p = static_cast<std::size_t>(request.shape.ranks);
  int tries_left = 128;
  for (bool better = true; better;) {
    better = false;
    for (std::size_t r = 0; r < p; ++r) {
      for (const bool more : {true, false}) {
        const auto policy = changed(search.best_policy(), r, more, limit_of(request));
        if (!policy) continue;
        if (tries_left-- == 0) return;
        if (search.attempt(*policy).better) better = true;
      }
    }
  }
}

std::vector<std::vector<Slot>> order(const PipelineRequest& request) {
  return place_by_time(request, request.kept_after_input);
}

}  // namespace

std::vector<std::vector<Slot>> place_by_time(const PipelineRequest& request,
                                             double kept_after_input) {
  const auto p = static_cast<std::size_t>(request.shape.ranks);
  REHEARSE_CHECK(request.costs.forward.size() == p && request.costs.backward_input.size() == p &&
                     request.costs.backward_weight.size() == p,
                 "zb-auto needs the costs of {} stages, got {}, {} and {}", p,
                 request.costs.forward.size(), request.costs.backward_input.size(),
                 request.costs.backward_weight.size());
  REHEARSE_CHECK(request.live_limit >= 1, "zb-auto needs room for one activation, got {}",
                 request.live_limit);
  Search search(request, kept_after_input);
  for (const Policy& policy : handcrafted(request))
    search.attempt(policy);
  for (const auto& warm_up : warm_ups(request))
    try_allowances(search, warm_up);
  improve(search, request);
  return search.take();
}

// Weight gradients go where they delay nobody and where memory runs out, by the measured times; of
// several warm-ups and several ways to treat gaps that are too short, the one whose longest rank is
// shortest (after the heuristic of Qi et al., Zero Bubble Pipeline Parallelism, arXiv 2401.10241,
// section 3.1). A live_limit of p activations gives what they call ZB-1p, 2p ZB-2p. The activation
// of a micro-batch counts from its forward to the end of its weight gradients.
PipelineSchedule zb_auto() {
  return {.name = "zb-auto",
          .help = "weight gradients placed by measured times within a memory limit",
          .placement = Placement::loop,
          .fewest_chunks = 1,
          .most_chunks = 1,
          .splits_backward = true,
          .needs_costs = true,
          .takes_live_limit = true,
          .check = [](const PipelineShape&) { return success(); },
          .order = order};
}

}  // namespace rehearse::pipelines
