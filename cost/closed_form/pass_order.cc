#include "cost/closed_form/pass_order.h"

#include <algorithm>
#include <cmath>

#include "model/base/check.h"

namespace rehearse {
namespace {

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

// Every rank goes on until it waits for another.
class Sorting {
 public:
  Sorting(const std::vector<std::vector<Slot>>& ranks, PassOrder& order)
      : ranks_(ranks),
        order_(order),
        done_(static_cast<std::size_t>(2 * order.shape.stages() * order.shape.micro_batches)) {}

  void run() {
    std::vector<std::size_t> next(ranks_.size(), 0);
    bool moved = true;
    while (moved) {
      moved = false;
      for (std::size_t r = 0; r < ranks_.size(); ++r) {
        for (; next[r] < ranks_[r].size() && is_ready(ranks_[r][next[r]]); ++next[r], moved = true)
          add(ranks_[r][next[r]]);
      }
    }
    for (std::size_t r = 0; r < ranks_.size(); ++r)
      REHEARSE_CHECK(next[r] == ranks_[r].size(), "rank {} waits for ever", r);
  }

 private:
  std::vector<bool>::reference done(Task task, std::size_t stage, MicroBatchId m) {
    const auto all = static_cast<std::size_t>(order_.shape.micro_batches);
    return done_[(2 * stage + (task == Task::forward ? 0 : 1)) * all + m.index()];
  }

  bool is_ready(const Slot& slot) {
    const std::size_t stage = slot.stage.index();
    if (slot.task == Task::forward)
      return stage == 0 || done(Task::forward, stage - 1, slot.micro_batch);
    if (slot.task == Task::backward_weight) return true;
    const bool is_end = static_cast<std::int64_t>(stage) + 1 == order_.shape.stages();
    return is_end ? done(Task::forward, stage, slot.micro_batch)
                  : done(Task::backward, stage + 1, slot.micro_batch);
  }

  void add(const Slot& slot) {
    const bool finishes =
        order_.splits_backward ? slot.task == Task::backward_weight : slot.task == Task::backward;
    const bool is_last =
        static_cast<std::int64_t>(slot.micro_batch.index()) + 1 == order_.shape.micro_batches;
    order_.passes.push_back(
        {slot.stage.value(), slot.micro_batch.value(), action_of(slot.task), finishes && is_last});
    if (slot.task != Task::backward_weight)
      done(slot.task == Task::forward ? Task::forward : Task::backward, slot.stage.index(),
           slot.micro_batch) = true;
  }

  const std::vector<std::vector<Slot>>& ranks_;
  PassOrder& order_;
  std::vector<bool> done_;
};

}  // namespace

PassOrder pass_order(const PipelineSchedule& schedule, const PipelineShape& shape) {
  PassOrder order;
  order.shape = shape;
  order.splits_backward = schedule.splits_backward;
  for (std::int64_t s = 0; s < shape.stages(); ++s)
    order.rank.push_back(static_cast<std::uint32_t>(rank_of(shape, StageId(s))));
  PipelineRequest request;
  request.shape = shape;
  const std::vector<std::vector<Slot>> ranks = schedule.order(request);
  Sorting(ranks, order).run();
  return order;
}

const PassOrder& PassOrders::of(const PipelineSchedule& schedule, const PipelineShape& shape) {
  const auto [known, is_new] =
      known_.try_emplace({&schedule, shape.ranks, shape.chunks, shape.micro_batches});
  if (is_new) known->second = pass_order(schedule, shape);
  return known->second;
}

namespace {

struct RankState {
  double free = 0;       // when it can compute
  double exchanged = 0;  // when its exchanges have ended
  double before = 0;     // end of the pass before the last one
  double begin = 0;      // of its step
};

}  // namespace

PassTimeline run_passes(const PassOrder& order, const std::vector<const StagePasses*>& passes,
                        const PassLinks& links, const std::vector<double>& begin) {
  const std::size_t stages = passes.size();
  const auto all = static_cast<std::size_t>(order.shape.micro_batches);
  PassTimeline made;
  made.ranks.resize(begin.size());
  made.last_pass.assign(stages, 0);
  std::vector<RankState> ranks(begin.size());
  for (std::size_t r = 0; r < begin.size(); ++r)
    ranks[r] = {begin[r], begin[r], begin[r], begin[r]};
  // By stage and micro-batch: when its output, and its input's gradient, are there.
  std::vector<double> output(stages * all), gradient(stages * all);
  std::vector<double> last_forward(stages, 0), last_backward(stages, 0);  // arrivals, by boundary
  for (const PassOrder::Pass& pass : order.passes) {
    const std::size_t s = pass.stage, at = s * all + pass.micro_batch;
    const std::uint32_t r = order.rank[s];
    RankState& rank = ranks[r];
    RankPasses& own = made.ranks[r];
    const auto receive = [&](std::size_t from, double made_at, double& lane, double seconds) {
      lane = std::max({made_at, lane, rank.before}) + seconds;
      RankPasses& sender = made.ranks[order.rank[from]];
      sender.sent = std::max(sender.sent, lane);
      return lane;
    };
    double input = rank.begin;
    switch (pass.action) {
      case StageAction::forward:
        if (s > 0)
          input = receive(s - 1, output[at - all], last_forward[s - 1], links.forward[s - 1]);
        break;
      case StageAction::backward:
        if (s + 1 < stages)
          input = receive(s + 1, gradient[at + all], last_backward[s], links.backward[s]);
        break;
      case StageAction::weight:
      case StageAction::receive_forward:
      case StageAction::send_forward:
      case StageAction::receive_backward:
      case StageAction::send_backward:
        break;
    }
    const PassTimes& times = passes[s]->time(pass.action);
    const auto when = [&](const Moment& moment) {
      return moment.after(rank.free, rank.exchanged, input);
    };
    const double end = when(times.computed);
    if (pass.action == StageAction::forward) output[at] = when(times.output);
    if (pass.action == StageAction::backward) gradient[at] = when(times.output);
    if (own.busy == 0) own.begin = end - times.length;
    own.busy += times.busy;
    own.exchanging += times.length - times.busy;
    rank.exchanged = when(times.exchanged);
    rank.before = rank.free;
    rank.free = own.end = end;
    if (pass.is_last) made.last_pass[s] = end;
  }
  return made;
}

namespace {

// Passes of so few rounds are followed one by one; then every round takes as long as the one
// before. Weight gradients that lag behind take longer to get into step.
constexpr std::int64_t kRounds = 4, kSplitRounds = 6;
// What rounds that differ may make of a step.
constexpr double kSteady = 1e-3;

double onward(double few, double more, double rounds) {
  return more + rounds * (more - few);
}

PassTimeline onward(const PassTimeline& few, const PassTimeline& more, double rounds) {
  PassTimeline made = more;
  for (std::size_t r = 0; r < made.ranks.size(); ++r) {
    for (const auto figure : {&RankPasses::begin, &RankPasses::end, &RankPasses::sent,
                              &RankPasses::busy, &RankPasses::exchanging})
      made.ranks[r].*figure = onward(few.ranks[r].*figure, more.ranks[r].*figure, rounds);
  }
  for (std::size_t s = 0; s < made.last_pass.size(); ++s)
    made.last_pass[s] = onward(few.last_pass[s], more.last_pass[s], rounds);
  return made;
}

}  // namespace

namespace {

double occupied(const RankPasses& rank) {
  return rank.busy + rank.exchanging;
}

}  // namespace

PassTimeline run_many_passes(PassOrders& orders, const PipelineSchedule& schedule,
                             const PipelineShape& shape,
                             const std::vector<const StagePasses*>& stages, const PassLinks& links,
                             const std::vector<double>& begin) {
  const auto of = [&](std::int64_t count) {
    PipelineShape some = shape;
    some.micro_batches = count;
    return run_passes(orders.of(schedule, some), stages, links, begin);
  };
  const std::int64_t all = shape.micro_batches, round = shape.ranks;
  const std::int64_t rounds = schedule.splits_backward ? kSplitRounds : kRounds;
  if (all <= (rounds + 1) * round) return of(all);
  const std::int64_t more = rounds * round + all % round;
  const PassTimeline last = of(more), before = of(more - round);
  const double length = last.ranks.front().end - before.ranks.front().end;
  const double length_before = before.ranks.front().end - of(more - 2 * round).ranks.front().end;
  const auto left = static_cast<double>((all - more) / round);
  // A rank that has more to do in a round than that will catch up with what is longest now.
  double most = 0;
  for (std::size_t r = 0; r < last.ranks.size(); ++r)
    most = std::max(most, occupied(last.ranks[r]) - occupied(before.ranks[r]));
  const double error = std::max(std::abs(length - length_before), most - length) * left;
  return error < kSteady * last.ranks.front().end ? onward(before, last, left) : of(all);
}

}  // namespace rehearse
