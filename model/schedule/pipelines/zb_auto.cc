#include <algorithm>
#include <limits>
#include <optional>
#include <queue>

#include "model/base/check.h"
#include "model/schedule/pipelines/pipelines.h"
#include "model/schedule/pipelines/weight_lag.h"

namespace rehearse::pipelines {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// How a rank chooses when more than one pass could be next.
struct Policy {
  // Seconds that a rank may idle in all rather than let a weight gradient delay the next pass.
  double idle_allowance = 0;
  bool forward_first = false;  // when a forward and a backward are both ready
  bool fills_early = false;
};

struct Schedule {
  std::vector<std::vector<Slot>> ranks;
  double cost = kNever;    // longest span of a rank
  double most_idle = 0;
};

// Every rank, whenever it is free, starts a pass that is ready, as the policy says.
class ListScheduler {
 public:
  ListScheduler(const PipelineRequest& request, const Policy& policy)
      : request_(request), policy_(policy), micro_batches_(static_cast<std::size_t>(request.shape.micro_batches)) {
    const auto p = static_cast<std::size_t>(request.shape.ranks);
    ranks_.resize(p);
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
    Schedule schedule;
    schedule.cost = 0;
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
  using Event = std::pair<double, std::size_t>;  // time, rank

  void wake(double time, std::size_t r) { events_.emplace(time, r); }

  void choose(std::size_t r, double now) {
    Rank& rank = ranks_[r];
    const double forward = rank.forwards < micro_batches_ ? rank.forward_ready[rank.forwards] : kNever;
    const double backward = rank.inputs < micro_batches_ ? rank.backward_ready[rank.inputs] : kNever;
    const bool owes = rank.weights < rank.inputs;
    const bool has_room = static_cast<double>(rank.forwards - rank.weights) + 1 <= request_.live_limit;
    if (has_room && forward <= now && (policy_.forward_first || backward > now)) return start(r, Task::forward, now);
    if (backward <= now) return start(r, Task::backward_input, now);
    if (owes && !has_room && forward <= now) return start(r, Task::backward_weight, now);
    const double next = std::min(has_room ? forward : kNever, backward);
    if (owes && fills(rank, r, next - now)) return start(r, Task::backward_weight, now);
    if (next < kNever) wake(next, r);
  }

  // Whether a weight gradient goes into the gap until the next pass.
  bool fills(const Rank& rank, std::size_t r, double gap) const {
    return gap >= request_.costs.backward_weight[r] || rank.idle + gap > policy_.idle_allowance;
  }

  void start(std::size_t r, Task task, double now) {
    Rank& rank = ranks_[r];
    if (rank.order.empty()) rank.started = rank.free = now;
    rank.idle += now - rank.free;
    const PipelineCosts& costs = request_.costs;
    switch (task) {
      case Task::forward: {
        rank.free = now + costs.forward[r];
        const std::size_t m = rank.forwards++;
        add(rank, r, task, m);
        if (r + 1 < ranks_.size())
          announce(r + 1, ranks_[r + 1].forward_ready[m], rank.free + costs.transfer);
        else
          rank.backward_ready[m] = rank.free;
        break;
      }
      case Task::backward_input: {
        rank.free = now + costs.backward_input[r];
        const std::size_t m = rank.inputs++;
        add(rank, r, task, m);
        if (r > 0) announce(r - 1, ranks_[r - 1].backward_ready[m], rank.free + costs.transfer);
        break;
      }
      case Task::backward_weight:
        rank.free = now + costs.backward_weight[r];
        add(rank, r, task, rank.weights++);
        break;
      case Task::backward:
        REHEARSE_UNREACHABLE("a whole backward");
    }
    wake(rank.free, r);
  }

  void announce(std::size_t r, double& ready, double time) {
    ready = time;
    wake(time, r);
  }

  static void add(Rank& rank, std::size_t r, Task task, std::size_t m) {
    rank.order.push_back({task, StageId(r), MicroBatchId(m)});
  }

  const PipelineRequest& request_;
  const Policy& policy_;
  const std::size_t micro_batches_;
  std::vector<Rank> ranks_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
};

std::vector<std::vector<Slot>> order(const PipelineRequest& request) {
  Schedule best;
  for (const bool forward_first : {false, true}) {
    Policy policy{0, forward_first};
    Schedule s = ListScheduler(request, policy).run();
    if (getenv("ZB")) fprintf(stderr, "ff %d allow 0 cost %f idle %f\n", forward_first, s.cost, s.most_idle);
    const double most = s.most_idle;
    if (s.cost < best.cost) best = std::move(s);
    for (const double share : {.02, .05,.1,.2,.3,.4,.5,.6,.7,.8,.9,1.}) {
      policy.idle_allowance = share * most;
      s = ListScheduler(request, policy).run();
      if (getenv("ZB")) fprintf(stderr, "ff %d allow %f cost %f idle %f\n", forward_first, share, s.cost, s.most_idle);
      if (s.cost < best.cost) best = std::move(s);
    }
  }
  return best.ranks;
}

}  // namespace

PipelineSchedule zb_auto() {
  return {.name = "zb-auto",
          .help = "weight gradients placed by time within a memory limit",
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
