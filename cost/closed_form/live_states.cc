#include "cost/closed_form/live_states.h"

#include <algorithm>
#include <numeric>

#include "model/base/check.h"
#include "model/schedule/actions.h"

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

bool is_pass(StageAction action) {
  return action == StageAction::forward || action == StageAction::backward ||
         action == StageAction::weight;
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
    for (const StageId stage : stages_of(shape, rank)) {
      own_[stage.index()] = made_.stages.size();
      made_.stages.push_back(stage.value());
    }
    counts_.resize(made_.stages.size());
    states_.resize(made_.stages.size() * micro_batches_, 0);
    seen_.resize(made_.stages.size() * kStageActions * 2);
  }

  LiveStates run(const std::vector<Action>& actions) {
    for (const Action& action : actions)
      act(action);
    for (std::size_t key = 0; key < seen_.size(); ++key)
      keep_largest(key);
    return std::move(made_);
  }

 private:
  void act(const Action& action) {
    const StageAction kind = action_of(action.kind);
    const std::size_t chunk = own_[action.stage.index()], m = action.micro_batch->index();
    LiveStates::Counts& counts = counts_[chunk];
    if (is_pass(kind)) see(chunk, kind, kind == finishing_ && m + 1 == micro_batches_);
    // It may come before the micro-batch's forward pass: an affair of its own.
    std::int32_t& received = counts[static_cast<std::size_t>(StageAction::receive_backward)];
    if (kind == StageAction::receive_backward) {
      ++received;
      return;
    }
    if (kind == StageAction::backward && received > 0) --received;
    // From the state that the action before it left; 0: none did.
    std::uint8_t& state = states_[chunk * micro_batches_ + m];
    if (state > 0) --counts[state - 1U];
    state = static_cast<std::uint8_t>(static_cast<unsigned>(kind) + 1);
    ++counts[state - 1U];
  }

  void see(std::size_t chunk, StageAction kind, bool is_last) {
    auto& seen =
        seen_[(chunk * kStageActions + static_cast<std::size_t>(kind)) * 2 + (is_last ? 1 : 0)];
    if (seen.empty()) return seen.push_back(counts_);
    // Most of them lie between others: the rest is sorted out in the end.
    if (is_covered(counts_, seen.back())) return;
    if (!is_covered(seen.back(), counts_)) return seen.push_back(counts_);
    seen.back() = counts_;
  }

  void keep_largest(std::size_t key) {
    std::vector<Counts>& seen = seen_[key];
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    std::stable_sort(seen.begin(), seen.end(),
                     [](const Counts& a, const Counts& b) { return sum_of(a) > sum_of(b); });
    std::vector<Counts> kept;
    for (const Counts& counts : seen) {
      const bool covered = std::any_of(
          kept.begin(), kept.end(), [&](const Counts& other) { return is_covered(counts, other); });
      if (!covered) kept.push_back(counts);
    }
    const std::size_t chunk = key / 2 / kStageActions;
    const auto action = static_cast<StageAction>(key / 2 % kStageActions);
    for (Counts& counts : kept)
      made_.moments.push_back({made_.stages[chunk], action, key % 2 == 1, std::move(counts)});
  }

  const StageAction finishing_;
  const std::size_t micro_batches_;
  std::vector<std::size_t> own_;  // by stage of the pipeline: its number on the rank
  LiveStates made_;
  Counts counts_;
  std::vector<std::uint8_t> states_;  // by stage of the rank and micro-batch
  std::vector<std::vector<Counts>>
      seen_;  // by stage of the rank, action, and whether it is the last
};

}  // namespace

std::vector<LiveStates> live_states(const PipelineSchedule& schedule, const PipelineShape& shape) {
  PipelineRequest request;
  request.shape = shape;
  const auto actions = add_messages(shape, schedule.order(request));
  std::vector<LiveStates> ranks;
  for (std::size_t r = 0; r < actions.size(); ++r)
    ranks.push_back(OfRank(schedule, shape, r).run(actions[r]));
  return ranks;
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
  return bytes;
}

}  // namespace rehearse
