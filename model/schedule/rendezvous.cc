#include "model/schedule/rendezvous.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

#include "model/base/check.h"

namespace rehearse {
namespace {

constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

// Whatever backward passes are made of, gradients of inputs are made once.
bool makes_gradients(Task task) {
  return task == Task::backward || task == Task::backward_input;
}

class Counting {
 public:
  Counting(const PipelineShape& shape, const std::vector<std::vector<Slot>>& ranks, bool in_pairs)
      : shape_(shape), ranks_(ranks) {
    made_.in_pairs = in_pairs;
  }

  // None: passes would wait for ever.
  std::optional<Rendezvous> run() {
    made_.steps.resize(ranks_.size());
    std::size_t left = 0;
    for (const auto& passes : ranks_)
      left += passes.size();
    for (; left > 0; ++made_.count) {
      const std::vector<std::size_t> ready = ready_ranks();
      if (ready.empty()) return std::nullopt;
      for (const std::size_t rank : ready) {
        for (std::size_t k = passes_together(rank); k > 0; --k, --left)
          pass(rank);
      }
    }
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      for (std::size_t i = 0; i < ranks_[rank].size(); ++i)
        place(rank, i);
    }
    std::sort(made_.messages.begin(), made_.messages.end(),
              [](const StageMessage& a, const StageMessage& b) { return key(a) < key(b); });
    return std::move(made_);
  }

 private:
  // forward, or backward of the gradients that are passed on; stage and micro-batch.
  using Key = std::tuple<bool, StageId, MicroBatchId>;

  static std::tuple<std::size_t, bool, StageId, MicroBatchId> key(const StageMessage& message) {
    const Slot& slot = message.made_by;
    return {message.step, slot.task == Task::forward, slot.stage, slot.micro_batch};
  }

  std::vector<std::size_t> ready_ranks() const {
    std::vector<std::size_t> ready;
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      const std::size_t next = made_.steps[rank].size();
      if (next == ranks_[rank].size() || !is_ready(ranks_[rank][next])) continue;
      const bool second = passes_together(rank) == 1 || is_ready_behind(rank, next + 1);
      if (second) ready.push_back(rank);
    }
    return ready;
  }

  // Of a rank, that come next without an exchange between them.
  std::size_t passes_together(std::size_t rank) const {
    const std::vector<Slot>& passes = ranks_[rank];
    const std::size_t next = made_.steps[rank].size();
    const bool pair = made_.in_pairs && next + 1 < passes.size() &&
                      passes[next].task == Task::forward && passes[next + 1].task == Task::backward;
    return pair ? 2 : 1;
  }

  // The backward pass of a pair; it may be of what the forward pass before it makes.
  bool is_ready_behind(std::size_t rank, std::size_t second) const {
    const Slot &before = ranks_[rank][second - 1], &slot = ranks_[rank][second];
    const bool is_last = slot.stage.value() + 1 == shape_.stages();
    const bool same = before.stage == slot.stage && before.micro_batch == slot.micro_batch;
    return (is_last && same) || is_ready(slot);
  }

  bool is_ready(const Slot& slot) const {
    if (slot.task == Task::backward_weight) return true;
    const bool forward = slot.task == Task::forward;
    const bool is_end =
        forward ? slot.stage.index() == 0 : slot.stage.value() + 1 == shape_.stages();
    if (is_end) return forward || step_of_.count({true, slot.stage, slot.micro_batch}) > 0;
    const StageId from(forward ? slot.stage.index() - 1 : slot.stage.index() + 1);
    return step_of_.count({forward, from, slot.micro_batch}) > 0;
  }

  void pass(std::size_t rank) {
    const Slot& slot = ranks_[rank][made_.steps[rank].size()];
    made_.steps[rank].push_back(made_.count);
    if (slot.task == Task::backward_weight) return;
    step_of_[{slot.task == Task::forward, slot.stage, slot.micro_batch}] = made_.count;
  }

  void place(std::size_t rank, std::size_t i) {
    const Slot& slot = ranks_[rank][i];
    const std::optional<StageId> receiver = receiver_of(shape_, slot);
    if (!receiver) return;
    const std::vector<std::size_t>& steps = made_.steps[rank];
    const auto later = std::upper_bound(steps.begin(), steps.end(), steps[i]);
    const std::size_t next = later == steps.end() ? kNever : *later;
    const std::size_t used = step_of_.at({slot.task == Task::forward, *receiver, slot.micro_batch});
    made_.messages.push_back({slot, std::min(next, used) - 1});
  }

  const PipelineShape& shape_;
  const std::vector<std::vector<Slot>>& ranks_;
  std::map<Key, std::size_t> step_of_;
  Rendezvous made_;
};

}  // namespace

std::optional<StageId> receiver_of(const PipelineShape& shape, const Slot& pass) {
  const bool forward = pass.task == Task::forward;
  if (!forward && !makes_gradients(pass.task)) return std::nullopt;
  if (forward ? pass.stage.value() + 1 == shape.stages() : pass.stage.index() == 0)
    return std::nullopt;
  const StageId other(forward ? pass.stage.index() + 1 : pass.stage.index() - 1);
  if (rank_of(shape, other) == rank_of(shape, pass.stage)) return std::nullopt;
  return other;
}

Rendezvous rendezvous_of(const PipelineShape& shape, const std::vector<std::vector<Slot>>& ranks) {
  const bool is_interleaved =
      shape.ranks > 1 && shape.chunks > 1 && shape.placement == Placement::loop;
  if (is_interleaved) {
    if (std::optional<Rendezvous> pairs = Counting(shape, ranks, true).run())
      return *std::move(pairs);
  }
  std::optional<Rendezvous> single = Counting(shape, ranks, false).run();
  REHEARSE_CHECK(single, "passes wait for ever");
  return *std::move(single);
}

std::vector<std::vector<Action>> add_awaited_messages(const PipelineShape& shape,
                                                      const std::vector<std::vector<Slot>>& ranks) {
  const Rendezvous rendezvous = rendezvous_of(shape, ranks);
  std::vector<std::vector<Action>> actions(ranks.size());
  std::vector<std::size_t> next(ranks.size(), 0);
  // Passes of steps up to this one.
  const auto go_on = [&](std::size_t rank, std::size_t step) {
    for (; next[rank] < ranks[rank].size() && rendezvous.steps[rank][next[rank]] <= step;
         ++next[rank]) {
      const Slot& slot = ranks[rank][next[rank]];
      actions[rank].push_back({pass_action(slot.task), slot.stage, slot.micro_batch});
    }
  };
  const auto add = [&](ActionKind kind, StageId stage, const StageMessage& message) {
    const std::size_t rank = rank_of(shape, stage);
    go_on(rank, message.step);
    actions[rank].push_back({kind, stage, message.made_by.micro_batch});
  };
  for (const StageMessage& message : rendezvous.messages) {
    const bool forward = message.made_by.task == Task::forward;
    add(forward ? ActionKind::send_forward : ActionKind::send_backward, message.made_by.stage,
        message);
    add(forward ? ActionKind::receive_forward : ActionKind::receive_backward,
        *receiver_of(shape, message.made_by), message);
  }
  for (std::size_t rank = 0; rank < ranks.size(); ++rank)
    go_on(rank, rendezvous.count);
  return actions;
}

}  // namespace rehearse
