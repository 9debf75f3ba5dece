#include "cost/closed_form/pass_order.h"

#include <algorithm>
#include <array>

#include "model/base/check.h"
#include "model/schedule/rendezvous.h"

namespace rehearse {
namespace {

using Pass = PassOrder::Pass;

StageAction action_of(Task task) {
  switch (task) {
    case Task::forward:
      return StageAction::forward;
    case Task::backward:
    case Task::backward_input:
      return StageAction::backward;
    case Task::backward_weight:
      return StageAction::weight;
  }
  REHEARSE_UNREACHABLE("task");
}

// Plays the lists of all ranks, a pass in every step of who need not wait.
class Playing {
 public:
  Playing(const std::vector<std::vector<Slot>>& ranks, PassOrder& order)
      : ranks_(ranks),
        order_(order),
        stages_(static_cast<std::size_t>(order.shape.stages())),
        forward_(stages_, 0),
        backward_(stages_, 0) {}

  // First passes of steps, and the end.
  std::vector<std::size_t> run() {
    std::vector<std::size_t> next(ranks_.size(), 0), begins = {0};
    std::size_t left = 0;
    for (const auto& slots : ranks_)
      left += slots.size();
    while (left > 0) {
      std::vector<const Slot*> step;
      for (std::size_t r = 0; r < ranks_.size(); ++r) {
        if (next[r] == ranks_[r].size() || !is_ready(ranks_[r][next[r]])) continue;
        step.push_back(&ranks_[r][next[r]++]);
      }
      REHEARSE_CHECK(!step.empty(), "{} passes wait for ever", left);
      for (const Slot* slot : step)
        add(*slot);
      left -= step.size();
      begins.push_back(order_.passes.size());
    }
    return begins;
  }

 private:
  bool is_ready(const Slot& slot) const {
    const std::size_t stage = slot.stage.index(), m = slot.micro_batch.index();
    if (slot.task == Task::backward_weight) return true;
    if (slot.task == Task::forward) return stage == 0 || forward_[stage - 1] > m;
    return stage + 1 == stages_ ? forward_[stage] > m : backward_[stage + 1] > m;
  }

  void add(const Slot& slot) {
    const std::size_t stage = slot.stage.index();
    order_.passes.push_back({static_cast<std::uint16_t>(stage), action_of(slot.task)});
    if (slot.task == Task::backward_weight) return;
    auto& done = slot.task == Task::forward ? forward_ : backward_;
    REHEARSE_CHECK(done[stage] == slot.micro_batch.index(), "stage {} goes out of order", stage);
    ++done[stage];
    note_waiting(stage);
  }

  void note_waiting(std::size_t stage) {
    if (stage + 1 < stages_)
      order_.waiting = std::max(order_.waiting, forward_[stage] - forward_[stage + 1]);
    if (stage > 0)
      order_.waiting = std::max(order_.waiting, backward_[stage] - backward_[stage - 1]);
    if (stage + 1 == stages_ && forward_[stage] - backward_[stage] > 1)
      order_.turns_at_once = false;
  }

  const std::vector<std::vector<Slot>>& ranks_;
  PassOrder& order_;
  const std::size_t stages_;
  std::vector<std::size_t> forward_, backward_;  // by stage: passes done
};

// Where steps come again.
class Finding {
 public:
  Finding(PassOrder& order, const std::vector<std::size_t>& begins)
      : order_(order), begins_(begins) {}

  // period: steps.
  void run(std::size_t period) {
    const std::size_t steps = begins_.size() - 1;
    std::size_t at = 0;
    while (at + 2 * period <= steps) {
      std::size_t end = at;
      while (end + period < steps && are_equal(end, end + period))
        ++end;
      const std::size_t count = (end - at) / period + 1;
      if (count < kFewest || !is_balanced(at, at + period)) {
        ++at;
        continue;
      }
      order_.loops.push_back({begins_[at], begins_[at + period], static_cast<std::int64_t>(count)});
      at += count * period;
    }
  }

 private:
  static constexpr std::size_t kFewest = 2;  // times

  bool are_equal(std::size_t a, std::size_t b) const {
    const auto at = [&](std::size_t step) { return order_.passes.begin() + begins_[step]; };
    return std::equal(at(a), at(a + 1), at(b), at(b + 1), [](const Pass& x, const Pass& y) {
      return x.stage == y.stage && x.action == y.action;
    });
  }

  // Whether all stages do as much.
  bool is_balanced(std::size_t begin, std::size_t end) const {
    const auto stages = static_cast<std::size_t>(order_.shape.stages());
    std::vector<std::array<int, kStageActions>> counts(stages);
    for (std::size_t p = begins_[begin]; p < begins_[end]; ++p)
      ++counts[order_.passes[p].stage][static_cast<std::size_t>(order_.passes[p].action)];
    for (std::size_t s = 0; s < stages; ++s) {
      for (const StageAction action :
           {StageAction::forward, StageAction::backward, StageAction::weight}) {
        const auto a = static_cast<std::size_t>(action);
        if (counts[s][a] != counts[0][a]) return false;
      }
    }
    return true;
  }

  PassOrder& order_;
  const std::vector<std::size_t>& begins_;
};

// Passes by the steps that they are counted in, messages behind them. What it returns is where
// steps begin, and the end.
std::vector<std::size_t> list_steps(const Rendezvous& rendezvous,
                                    const std::vector<std::vector<Slot>>& ranks, PassOrder& order) {
  std::vector<std::size_t> begins = {0}, next(ranks.size(), 0);
  const auto stages = static_cast<std::size_t>(order.shape.stages());
  std::vector<std::size_t> forward(stages, 0), backward(stages, 0);  // made, not yet sent
  auto message = rendezvous.messages.begin();
  order.passes = {};
  for (std::size_t step = 0; step < rendezvous.count; ++step) {
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      for (; next[r] < ranks[r].size() && rendezvous.steps[r][next[r]] == step; ++next[r]) {
        const Slot& slot = ranks[r][next[r]];
        const std::size_t stage = slot.stage.index();
        order.passes.push_back({static_cast<std::uint16_t>(stage), action_of(slot.task)});
        if (slot.task != Task::backward_weight)
          ++(slot.task == Task::forward ? forward : backward)[stage];
      }
    }
    for (; message != rendezvous.messages.end() && message->step == step; ++message) {
      const bool is_forward = message->made_by.task == Task::forward;
      const std::size_t stage = message->made_by.stage.index();
      std::size_t& waiting = (is_forward ? forward : backward)[stage];
      order.waiting = std::max(order.waiting, waiting--);
      order.passes.push_back({static_cast<std::uint16_t>(stage),
                              is_forward ? StageAction::send_forward : StageAction::send_backward});
    }
    begins.push_back(order.passes.size());
  }
  return begins;
}

struct Played {
  std::vector<std::size_t> begins;  // of steps, and the end
  bool in_pairs = false;            // Rendezvous's
};

Played play(const PipelineSchedule& schedule, PassOrder& order) {
  for (std::int64_t s = 0; s < order.shape.stages(); ++s)
    order.rank.push_back(static_cast<std::uint32_t>(rank_of(order.shape, StageId(s))));
  PipelineRequest request;
  request.shape = order.shape;
  const std::vector<std::vector<Slot>> ranks = schedule.order(request);
  Played played{Playing(ranks, order).run()};
  if (!is_waited_for(order.exchange)) return played;
  const Rendezvous rendezvous = rendezvous_of(order.shape, ranks);
  played.in_pairs = rendezvous.in_pairs;
  played.begins = list_steps(rendezvous, ranks, order);
  return played;
}

// Without messages.
std::int64_t passes_of(const PassOrder& order) {
  const auto count = [&](std::size_t begin, std::size_t end) {
    const auto at = [&](std::size_t pass) {
      return order.passes.begin() + static_cast<std::ptrdiff_t>(pass);
    };
    return std::count_if(at(begin), at(end), [](const Pass& pass) { return !pass.is_message(); });
  };
  std::int64_t sum = count(0, order.passes.size());
  for (const PassOrder::Loop& loop : order.loops)
    sum += (loop.count - 1) * count(loop.begin, loop.end);
  return sum;
}

// Passes of a loop are listed once.
void fold(PassOrder& order) {
  std::vector<Pass> kept;
  std::size_t from = 0;
  for (PassOrder::Loop& loop : order.loops) {
    const std::size_t length = loop.end - loop.begin;
    kept.insert(kept.end(), order.passes.begin() + static_cast<std::ptrdiff_t>(from),
                order.passes.begin() + static_cast<std::ptrdiff_t>(loop.end));
    from = loop.begin + length * static_cast<std::size_t>(loop.count);
    loop.end = kept.size();
    loop.begin = loop.end - length;
  }
  kept.insert(kept.end(), order.passes.begin() + static_cast<std::ptrdiff_t>(from),
              order.passes.end());
  order.passes = std::move(kept);
}

// Rounds, of as many micro-batches as ranks, that are played; more go around in the loops.
constexpr std::int64_t kRounds = 4;

PassOrder empty_order(const PipelineSchedule& schedule, const PipelineShape& shape,
                      StageExchange exchange) {
  PassOrder order;
  order.shape = shape;
  order.splits_backward = schedule.splits_backward;
  // On one rank there are none.
  if (shape.ranks > 1) order.exchange = exchange;
  return order;
}

}  // namespace

PassOrder plain_pass_order(const PipelineSchedule& schedule, const PipelineShape& shape,
                           StageExchange exchange) {
  PassOrder order = empty_order(schedule, shape, exchange);
  play(schedule, order);
  return order;
}

PassOrder pass_order(const PipelineSchedule& schedule, const PipelineShape& shape,
                     StageExchange exchange) {
  const std::int64_t actions = schedule.splits_backward ? 3 : 2;
  const std::int64_t all = actions * shape.stages() * shape.micro_batches;
  PassOrder order = empty_order(schedule, shape, exchange);
  // Where stages come in turns, a round of micro-batches makes a pattern.
  const std::int64_t together = shape.chunks > 1 ? shape.ranks : 1;
  const std::int64_t played =
      std::min(shape.micro_batches, kRounds * shape.ranks + shape.micro_batches % together);
  order.shape.micro_batches = played;
  const auto [begins, in_pairs] = play(schedule, order);
  const bool is_flat = schedule.name == "gpipe";  // all forward, then all backward
  const std::int64_t steps = (in_pairs ? 1 : actions) * together * shape.chunks;
  Finding(order, begins).run(is_flat ? 1 : static_cast<std::size_t>(steps));
  fold(order);
  for (PassOrder::Loop& loop : order.loops)
    loop.count += (shape.micro_batches - played) / together;
  order.shape = shape;
  return passes_of(order) == all ? order : plain_pass_order(schedule, shape, exchange);
}

const PassOrder& PassOrders::of(const PipelineSchedule& schedule, const PipelineShape& shape,
                                StageExchange exchange) {
  const auto [known, is_new] =
      known_.try_emplace({&schedule, shape.ranks, shape.chunks, shape.micro_batches, exchange});
  if (is_new) known->second = pass_order(schedule, shape, exchange);
  return known->second;
}

}  // namespace rehearse
