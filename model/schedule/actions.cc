#include "model/schedule/actions.h"

#include "model/base/check.h"

namespace rehearse {

ActionKind pass_action(Task task) {
  switch (task) {
    case Task::forward:
      return ActionKind::forward;
    case Task::backward:
      return ActionKind::backward;
    case Task::backward_input:
      return ActionKind::backward_input;
    case Task::backward_weight:
      return ActionKind::backward_weight;
  }
  REHEARSE_UNREACHABLE("task");
}

namespace {

class Messages {
 public:
  Messages(const PipelineShape& shape, std::size_t rank) : shape_(shape), rank_(rank) {}

  std::vector<Action> run(const std::vector<Slot>& slots) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (i == 0) receive(slots[0]);
      if (i + 1 < slots.size()) receive(slots[i + 1]);
      actions_.push_back({pass_action(slots[i].task), slots[i].stage, slots[i].micro_batch});
      send(slots[i]);
    }
    return std::move(actions_);
  }

 private:
  bool comes_from_elsewhere(StageId stage) const {
    return stage.index() > 0 && rank_of(shape_, StageId(stage.index() - 1)) != rank_;
  }
  bool goes_elsewhere(StageId stage) const {
    const StageId next(stage.index() + 1);
    return static_cast<std::int64_t>(next.index()) < shape_.stages() &&
           rank_of(shape_, next) != rank_;
  }

  void receive(const Slot& slot) {
    if (slot.task == Task::forward) {
      if (comes_from_elsewhere(slot.stage)) add(ActionKind::receive_forward, slot);
    } else if (slot.task != Task::backward_weight && goes_elsewhere(slot.stage)) {
      add(ActionKind::receive_backward, slot);
    }
  }

  void send(const Slot& slot) {
    if (slot.task == Task::forward) {
      if (goes_elsewhere(slot.stage)) add(ActionKind::send_forward, slot);
    } else if (slot.task != Task::backward_weight && comes_from_elsewhere(slot.stage)) {
      add(ActionKind::send_backward, slot);
    }
  }

  void add(ActionKind kind, const Slot& slot) {
    actions_.push_back({kind, slot.stage, slot.micro_batch});
  }

  const PipelineShape& shape_;
  std::size_t rank_;
  std::vector<Action> actions_;
};

}  // namespace

std::vector<std::vector<Slot>> slots_of(const std::vector<std::vector<Action>>& table) {
  std::vector<std::vector<Slot>> ranks;
  for (const std::vector<Action>& actions : table) {
    std::vector<Slot>& slots = ranks.emplace_back();
    for (const Action& action : actions) {
      for (const Task task :
           {Task::forward, Task::backward, Task::backward_input, Task::backward_weight}) {
        if (pass_action(task) == action.kind)
          slots.push_back({task, action.stage, *action.micro_batch});
      }
    }
  }
  return ranks;
}

std::vector<std::vector<Action>> add_messages(const PipelineShape& shape,
                                              const std::vector<std::vector<Slot>>& ranks) {
  std::vector<std::vector<Action>> actions;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank)
    actions.push_back(Messages(shape, rank).run(ranks[rank]));
  return actions;
}

}  // namespace rehearse
