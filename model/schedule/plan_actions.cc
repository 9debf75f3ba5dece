#include "model/schedule/plan_actions.h"

#include <algorithm>
#include <map>
#include <set>

#include "model/base/check.h"

namespace rehearse {
namespace {

std::optional<ActionKind> pass_action(OpKind kind) {
  switch (kind) {
    case OpKind::forward:
      return ActionKind::forward;
    case OpKind::backward:
      return ActionKind::backward;
    case OpKind::backward_input:
      return ActionKind::backward_input;
    case OpKind::backward_weight:
      return ActionKind::backward_weight;
    case OpKind::recompute:  // a part of the backward it belongs to
    case OpKind::load_batch:
    case OpKind::send:
    case OpKind::receive:
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::optimizer_step:
      return std::nullopt;
  }
  REHEARSE_UNREACHABLE("op kind");
}

ActionKind message_action(LaneKind lane) {
  switch (lane) {
    case LaneKind::send_forward:
      return ActionKind::send_forward;
    case LaneKind::receive_forward:
      return ActionKind::receive_forward;
    case LaneKind::send_backward:
      return ActionKind::send_backward;
    case LaneKind::receive_backward:
      return ActionKind::receive_backward;
    case LaneKind::compute:
    case LaneKind::collective:
    case LaneKind::gather:
    case LaneKind::tensor:
      break;
  }
  REHEARSE_UNREACHABLE("no message");
}

// One program read back.
class Reader {
 public:
  explicit Reader(const RankProgram& program)
      : program_(program), micro_batches_(micro_batch_of_buffers(program)) {}

  std::vector<Action> run() {
    for (const Op& op : program_.ops) {
      if (std::holds_alternative<Transfer>(op.detail)) {
        message(op);
      } else if (const auto kind = pass_action(op.kind)) {
        pass(*kind, op);
      }
    }
    if (reduces()) add_reductions();
    if (shards_parameters()) add_sharding();
    return std::move(actions_);
  }

 private:
  void pass(ActionKind kind, const Op& op) {
    const Compute& compute = compute_of(op);
    const StageId stage = program_.stages[*stage_with(program_, compute.begin)].number;
    add({kind, stage, compute.micro_batch});
  }

  void message(const Op& op) {
    const Lane& lane = program_.lanes[op.lane.index()];
    const auto micro_batch = micro_batches_[op.operands.front().buffer.index()];
    if (micro_batch) add({message_action(lane.kind), lane.stage, *micro_batch});
  }

  // Parts of a pass, and values of a message, are one action.
  void add(const Action& action) {
    if (seen_.insert({action.kind, action.stage, *action.micro_batch}).second)
      actions_.push_back(action);
  }

  bool reduces() const {
    return std::any_of(program_.ops.begin(), program_.ops.end(), [](const Op& op) {
      return op.kind == OpKind::all_reduce || op.kind == OpKind::reduce_scatter;
    });
  }
  bool shards_parameters() const {
    return std::any_of(program_.parameter_classes.begin(), program_.parameter_classes.end(),
                       [](const ParameterClass& c) { return c.sharding == Sharding::parameters; });
  }

  void add_reductions() {
    std::map<StageId, std::size_t> last;
    for (std::size_t a = 0; a < actions_.size(); ++a) {
      const ActionKind kind = actions_[a].kind;
      const bool has_gradients =
          kind == ActionKind::backward || kind == ActionKind::backward_weight;
      if (has_gradients) last[actions_[a].stage] = a;
    }
    std::vector<Action> with;
    for (std::size_t a = 0; a < actions_.size(); ++a) {
      with.push_back(actions_[a]);
      const auto own = last.find(actions_[a].stage);
      if (own != last.end() && own->second == a)
        with.push_back({ActionKind::reduce_gradients, actions_[a].stage, std::nullopt});
    }
    actions_ = std::move(with);
  }

  void add_sharding() {
    std::vector<Action> with;
    for (const Action& action : actions_) {
      const bool reads_weights =
          action.kind == ActionKind::forward || action.kind == ActionKind::backward ||
          action.kind == ActionKind::backward_input || action.kind == ActionKind::backward_weight;
      if (reads_weights) with.push_back({ActionKind::unshard, action.stage, std::nullopt});
      with.push_back(action);
      if (reads_weights) with.push_back({ActionKind::reshard, action.stage, std::nullopt});
    }
    actions_ = std::move(with);
  }

  const RankProgram& program_;
  const std::vector<std::optional<MicroBatchId>> micro_batches_;  // by buffer
  std::set<std::tuple<ActionKind, StageId, MicroBatchId>> seen_;
  std::vector<Action> actions_;
};

}  // namespace

ScheduleTable actions_of(const Plan& plan) {
  std::vector<const RankProgram*> programs;
  for (const RankBinding& rank : plan.ranks) {
    if (rank.first_micro_batch == plan.ranks.front().first_micro_batch &&
        rank.slice == plan.ranks.front().slice)
      programs.push_back(&plan.programs[rank.program.index()]);
  }
  std::sort(programs.begin(), programs.end(), [](const RankProgram* a, const RankProgram* b) {
    return a->stages.front().number < b->stages.front().number;
  });
  ScheduleTable table;
  for (const RankProgram* program : programs) {
    table.ranks.push_back(Reader(*program).run());
    for (const Action& action : table.ranks.back())
      table.has_messages = table.has_messages || !is_pass(action.kind);
  }
  return table;
}

}  // namespace rehearse
