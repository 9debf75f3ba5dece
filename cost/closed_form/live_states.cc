#include "cost/closed_form/live_states.h"

#include <algorithm>
#include <numeric>

#include "model/base/check.h"
#include "model/schedule/actions.h"
#include "model/schedule/rendezvous.h"

namespace rehearse {
namespace {

StageAction action_of(ActionKind kind) {
  switch (kind) {
    case ActionKind::receive_forward:
      return StageAction::receive_forward;
    case ActionKind::forward:
      return StageAction::forward;
    case ActionKind::send_forward:
      return StageAction::send_forward;
    case ActionKind::receive_backward:
      return StageAction::receive_backward;
    case ActionKind::backward:
    case ActionKind::backward_input:
      return StageAction::backward;
    case ActionKind::send_backward:
      return StageAction::send_backward;
    case ActionKind::backward_weight:
      return StageAction::weight;
    case ActionKind::unshard:
    case ActionKind::reshard:
    case ActionKind::reduce_gradients:
      break;
  }
  REHEARSE_UNREACHABLE("a schedule does not say when parameters are gathered");
}

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

bool is_pass(StageAction action) {
  return action == StageAction::forward || action == StageAction::backward ||
         action == StageAction::weight;
}

bool is_receive(StageAction action) {
  return action == StageAction::receive_forward || action == StageAction::receive_backward;
}

using Counts = std::vector<LiveStates::Counts>;

bool is_covered(const Counts& small, const Counts& large) {
  for (std::size_t s = 0; s < small.size(); ++s) {
    for (std::size_t a = 0; a < kStageActions; ++a) {
      if (small[s][a] > large[s][a]) return false;
    }
  }
  return true;
}

std::int64_t sum_of(const Counts& counts) {
  std::int64_t sum = 0;
  for (const auto& of_stage : counts)
    sum += std::accumulate(of_stage.begin(), of_stage.end(), std::int64_t{0});
  return sum;
}

class OfRank {
 public:
  OfRank(const PipelineSchedule& schedule, const PipelineShape& shape, std::size_t rank)
      : finishing_(schedule.splits_backward ? StageAction::weight : StageAction::backward),
        micro_batches_(static_cast<std::size_t>(shape.micro_batches)),
        own_(static_cast<std::size_t>(shape.stages()), 0) {
    const auto is_elsewhere = [&](std::size_t stage) {
      return stage < own_.size() && rank_of(shape, StageId(stage)) != rank;
    };
    for (const StageId stage : stages_of(shape, rank)) {
      own_[stage.index()] = made_.stages.size();
      made_.stages.push_back(stage.value());
      receives_.push_back(stage.index() > 0 && is_elsewhere(stage.index() - 1));
      sends_.push_back(is_elsewhere(stage.index() + 1));
      const bool sends_last = receives_.back() && !schedule.splits_backward;
      last_.push_back(sends_last ? StageAction::send_backward : finishing_);
    }
    counts_.resize(made_.stages.size());
    states_.resize(made_.stages.size() * micro_batches_, 0);
    seen_.resize(made_.stages.size() * kStageActions * 2);
  }

  // is_awaited: whether messages stand between passes. What one receives is there then while what
  // it sends still is; otherwise a pass comes next that has all of it.
  LiveStates run(const std::vector<Action>& actions, bool is_awaited) {
    for (const Action& action : actions) {
      const StageAction kind = action_of(action.kind);
      const std::size_t place = own_[action.stage.index()];
      if (is_awaited && is_receive(kind)) see(place, kind, false);
      act(kind, place, action.micro_batch->index());
    }
    return finish();
  }

  // With the messages that add_messages() adds.
  LiveStates run(const std::vector<Slot>& slots) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (i == 0) receive(slots[0]);
      if (i + 1 < slots.size()) receive(slots[i + 1]);
      const std::size_t place = own_[slots[i].stage.index()], m = slots[i].micro_batch.index();
      const StageAction pass = action_of(slots[i].task);
      act(pass, place, m);
      if (pass == StageAction::forward && sends_[place]) act(StageAction::send_forward, place, m);
      if (pass == StageAction::backward && receives_[place])
        act(StageAction::send_backward, place, m);
    }
    return finish();
  }

 private:
  void receive(const Slot& slot) {
    const std::size_t place = own_[slot.stage.index()], m = slot.micro_batch.index();
    const StageAction pass = action_of(slot.task);
    if (pass == StageAction::forward && receives_[place])
      act(StageAction::receive_forward, place, m);
    if (pass == StageAction::backward && sends_[place])
      act(StageAction::receive_backward, place, m);
  }

  void act(StageAction kind, std::size_t place, std::size_t m) {
    LiveStates::Counts& counts = counts_[place];
    if (is_pass(kind)) see(place, kind, kind == finishing_ && m + 1 == micro_batches_);
    // It may come before the micro-batch's forward pass: an affair of its own.
    std::int32_t& received = counts[static_cast<std::size_t>(StageAction::receive_backward)];
    if (kind == StageAction::receive_backward) {
      ++received;
      return;
    }
    if (kind == StageAction::backward && received > 0) --received;
    // From the state that the action before it left; 0: none did. Of a micro-batch that has gone
    // through nothing is left.
    std::uint8_t& state = states_[place * micro_batches_ + m];
    if (state > 0) --counts[state - 1U];
    if (kind == last_[place]) return;
    state = static_cast<std::uint8_t>(static_cast<unsigned>(kind) + 1);
    ++counts[state - 1U];
  }

  void see(std::size_t place, StageAction kind, bool is_last) {
    auto& seen =
        seen_[(place * kStageActions + static_cast<std::size_t>(kind)) * 2 + (is_last ? 1 : 0)];
    if (seen.empty()) return seen.push_back(counts_);
    // Most of them lie between others: the rest is sorted out in the end.
    if (is_covered(counts_, seen.back())) return;
    if (!is_covered(seen.back(), counts_)) return seen.push_back(counts_);
    seen.back() = counts_;
  }

  LiveStates finish() {
    for (std::size_t key = 0; key < seen_.size(); ++key)
      keep_largest(key);
    return std::move(made_);
  }

  void keep_largest(std::size_t key) {
    std::vector<Counts>& seen = seen_[key];
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    std::stable_sort(seen.begin(), seen.end(),
                     [](const Counts& a, const Counts& b) { return sum_of(a) > sum_of(b); });
    std::vector<const Counts*> kept;
    for (const Counts& counts : seen) {
      const bool covered = std::any_of(kept.begin(), kept.end(), [&](const Counts* other) {
        return is_covered(counts, *other);
      });
      if (!covered) kept.push_back(&counts);
    }
    const auto place = static_cast<std::uint32_t>(key / 2 / kStageActions);
    const auto action = static_cast<StageAction>(key / 2 % kStageActions);
    for (const Counts* counts : kept) {
      made_.moments.push_back({place, action, key % 2 == 1});
      made_.counts.insert(made_.counts.end(), counts->begin(), counts->end());
    }
  }

  const StageAction finishing_;
  const std::size_t micro_batches_;
  std::vector<std::size_t> own_;        // by stage of the pipeline: its place on the rank
  std::vector<bool> receives_, sends_;  // by stage of the rank: forward, from and to other ranks
  std::vector<StageAction> last_;       // by stage of the rank: of a micro-batch
  LiveStates made_;
  Counts counts_;
  std::vector<std::uint8_t> states_;  // by stage of the rank and micro-batch
  std::vector<std::vector<Counts>>
      seen_;  // by stage of the rank, action, and whether it is the last
};

bool is_covered(const LiveStates& small, const LiveStates& large) {
  const std::size_t stages = small.stages.size();
  const auto covers = [&](std::size_t s, std::size_t l) {
    if (!(small.moments[s] == large.moments[l])) return false;
    for (std::size_t k = 0; k < stages; ++k) {
      for (std::size_t a = 0; a < kStageActions; ++a) {
        if (small.counts_of(s)[k][a] > large.counts_of(l)[k][a]) return false;
      }
    }
    return true;
  };
  for (std::size_t s = 0; s < small.moments.size(); ++s) {
    bool found = false;
    for (std::size_t l = 0; l < large.moments.size() && !found; ++l)
      found = covers(s, l);
    if (!found) return false;
  }
  return true;
}

void compare_neighbours(std::vector<LiveStates>& ranks) {
  for (std::size_t r = 1; r < ranks.size(); ++r)
    ranks[r].is_covered = is_covered(ranks[r], ranks[r - 1]);
}

// Between the first and the last rank all do the same.
bool is_alike_inside(const PipelineSchedule& schedule) {
  return schedule.name == "gpipe";
}

}  // namespace

// Before its first backward a rank runs as many forwards as its schedule warms up with, and weight
// gradients lag behind by so many: p of both on every rank with ZB-H1, 2p with ZB-H2, fewer with
// 1F1B. With two micro-batches more every state of the turns that follow has been. Interleaved, of
// (v + 1) p - 2 chunks or fewer, two rounds of p micro-batches and one.
std::int64_t fewest_micro_batches(const PipelineSchedule& schedule, const PipelineShape& shape) {
  constexpr std::int64_t kTurns = 2, kRounds = 3;
  std::int64_t fewest = shape.micro_batches;
  if (schedule.name == "1f1b" || schedule.name == "zb-h1") fewest = shape.ranks + kTurns;
  if (schedule.name == "zb-h2") fewest = 2 * shape.ranks + kTurns;
  if (schedule.name == "interleaved") fewest = kRounds * shape.ranks;
  return std::min(fewest, shape.micro_batches);
}

std::vector<LiveStates> live_states(const PipelineSchedule& schedule, const PipelineShape& shape,
                                    StageExchange exchange) {
  constexpr std::int64_t kDifferent = 3;  // first, inside, last
  PipelineRequest request;
  request.shape = shape;
  request.shape.micro_batches = fewest_micro_batches(schedule, shape);
  if (is_alike_inside(schedule)) request.shape.ranks = std::min(kDifferent, shape.ranks);
  const auto slots = schedule.order(request);
  std::vector<std::vector<Action>> actions;
  if (is_waited_for(exchange)) actions = add_awaited_messages(request.shape, slots);
  std::vector<LiveStates> ranks;
  for (std::size_t r = 0; r < slots.size(); ++r) {
    OfRank of_rank(schedule, request.shape, r);
    ranks.push_back(is_waited_for(exchange) ? of_rank.run(actions[r], true)
                                            : of_rank.run(slots[r]));
  }
  if (shape.ranks > request.shape.ranks)
    ranks.insert(ranks.begin() + 1, static_cast<std::size_t>(shape.ranks) - ranks.size(), ranks[1]);
  for (std::size_t r = 0; is_alike_inside(schedule) && r < ranks.size(); ++r)
    ranks[r].stages = {static_cast<std::uint32_t>(r)};
  compare_neighbours(ranks);
  return ranks;
}

std::vector<LiveStates> plain_live_states(const PipelineSchedule& schedule,
                                          const PipelineShape& shape, StageExchange exchange) {
  PipelineRequest request;
  request.shape = shape;
  const auto slots = schedule.order(request);
  const auto actions =
      is_waited_for(exchange) ? add_awaited_messages(shape, slots) : add_messages(shape, slots);
  std::vector<LiveStates> ranks;
  for (std::size_t r = 0; r < actions.size(); ++r)
    ranks.push_back(OfRank(schedule, shape, r).run(actions[r], is_waited_for(exchange)));
  compare_neighbours(ranks);
  return ranks;
}

RankAbove most_alive(const LiveStates& states, const std::vector<const StagePasses*>& passes,
                     const std::vector<const std::array<std::int64_t, kStageActions>*>& bytes) {
  RankAbove made;
  made.before_last.assign(states.stages.size(), -1);
  for (std::size_t m = 0; m < states.moments.size(); ++m) {
    const LiveStates::Moment& moment = states.moments[m];
    const LiveStates::Counts* const counts = states.counts_of(m);
    std::int64_t before = 0;
    for (std::size_t s = 0; s < states.stages.size(); ++s) {
      const auto& of_stage = *bytes[states.stages[s]];
      for (std::size_t a = 0; a < kStageActions; ++a)
        before += counts[s][a] * of_stage[a];
    }
    if (moment.is_last) {
      made.before_last[moment.place] = std::max(made.before_last[moment.place], before);
      made.finishing = moment.action;
    }
    const std::uint32_t stage = states.stages[moment.place];
    const auto action = static_cast<std::size_t>(moment.action);
    const std::int64_t live = before + passes[stage]->memory[action].peak;
    if (live > made.live) made.live = live, made.stage = stage, made.action = moment.action;
  }
  return made;
}

std::array<std::int64_t, kStageActions> bytes_by_state(const StagePasses& passes) {
  std::array<std::int64_t, kStageActions> bytes{};
  std::int64_t sum = 0;
  const auto delta = [&](StageAction action) {
    return passes.memory[static_cast<std::size_t>(action)].delta;
  };
  const std::int64_t received = delta(StageAction::receive_backward);
  for (std::size_t a = 0; a < kStageActions; ++a) {
    const auto action = static_cast<StageAction>(a);
    bytes[a] = received;
    if (action == StageAction::receive_backward) continue;
    sum += delta(action) + (action == StageAction::backward ? received : 0);
    bytes[a] = sum;
  }
  REHEARSE_CHECK(sum == 0, "{} bytes of a micro-batch are left when it has gone through", sum);
  return bytes;
}

}  // namespace rehearse
