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
    case OpKind::accumulate:
    case OpKind::clear:
    case OpKind::send:
    case OpKind::receive:
    case OpKind::all_reduce:
    case OpKind::reduce_scatter:
    case OpKind::all_gather:
    case OpKind::broadcast:
    case OpKind::sum_squares:
    case OpKind::optimizer_step:
    case OpKind::outer_gradient:
    case OpKind::outer_step:
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

// The micro-batches of what ranks of a pipeline send one another. Where a rank only hands on what
// it gets, they are what it got.
class Messages {
 public:
  Messages(const Plan& plan, const std::vector<RankId>& ranks) : plan_(plan) {
    for (const RankId rank : ranks) {
      const RankProgram& program = program_of(plan, rank);
      known_[rank] = micro_batch_of_buffers(program);
      for (const Op& op : program.ops) {
        if (op.kind == OpKind::send) sends_[key(rank, op)] = &op;
        if (op.kind == OpKind::receive) receives_[{rank, op.operands.front().buffer}] = &op;
      }
    }
  }

  MicroBatchId micro_batch(RankId rank, const Op& op) {
    const BufferId buffer = op.operands.front().buffer;
    auto& known = known_.at(rank)[buffer.index()];
    if (known) return *known;
    const Key from = key(rank, *receives_.at({rank, buffer}));
    known = micro_batch(std::get<0>(from), *sends_.at(from));
    return *known;
  }

 private:
  using Key = std::tuple<RankId, RankId, std::int64_t>;  // sender, receiver, tag
  Key key(RankId rank, const Op& op) const {
    const Transfer& transfer = transfer_of(op);
    const RankId peer = plan_.ranks[rank.index()].peers[transfer.peer];
    return op.kind == OpKind::send ? Key{rank, peer, transfer.tag} : Key{peer, rank, transfer.tag};
  }

  const Plan& plan_;
  std::map<RankId, std::vector<std::optional<MicroBatchId>>> known_;  // by buffer
  std::map<Key, const Op*> sends_;
  std::map<std::pair<RankId, BufferId>, const Op*> receives_;
};

// One rank's program read back.
class Reader {
 public:
  Reader(const Plan& plan, RankId rank, Messages& messages)
      : rank_(rank), program_(program_of(plan, rank)), messages_(messages) {}

  // fill: whether passes of dropped stages are there.
  std::vector<Action> run(bool fill) {
    for (const Op& op : program_.ops) {
      if (std::holds_alternative<Transfer>(op.detail)) {
        message(op);
      } else if (const auto kind = pass_action(op.kind)) {
        pass(*kind, op);
      }
    }
    if (fill) add_dropped();
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
    add({message_action(lane.kind), lane.stage, messages_.micro_batch(rank_, op)});
  }

  // Parts of a pass, and values of a message, are one action.
  void add(const Action& action) {
    if (seen_.insert({action.kind, action.stage, *action.micro_batch}).second)
      actions_.push_back(action);
  }

  // A dropped stage's passes stand right before whoever takes what they hand on: its message, or
  // the next stage's pass on this rank, which is there by then. The first and the last stage are
  // never dropped.
  void add_dropped() {
    for (auto stage = program_.stages.rbegin(); stage != program_.stages.rend(); ++stage) {
      for (std::int64_t m = 0; m < program_.micro_batches; ++m)
        add_forward(stage->number, MicroBatchId(m));
    }
    for (const Stage& stage : program_.stages) {
      for (std::int64_t m = 0; m < program_.micro_batches; ++m)
        add_backward(stage.number, MicroBatchId(m));
    }
  }
  bool is_there(ActionKind kind, StageId stage, MicroBatchId m) const {
    return seen_.count({kind, stage, m}) > 0;
  }
  void add_forward(StageId stage, MicroBatchId m) {
    if (is_there(ActionKind::forward, stage, m)) return;
    const StageId next(stage.index() + 1);
    insert({ActionKind::forward, stage, m},
           {{ActionKind::send_forward, stage, m}, {ActionKind::forward, next, m}});
  }
  void add_backward(StageId stage, MicroBatchId m) {
    if (is_there(ActionKind::backward, stage, m) ||
        is_there(ActionKind::backward_input, stage, m) ||
        is_there(ActionKind::backward_weight, stage, m))
      return;
    const StageId next(stage.index() - 1);
    insert({ActionKind::backward, stage, m}, {{ActionKind::send_backward, stage, m},
                                              {ActionKind::backward, next, m},
                                              {ActionKind::backward_input, next, m}});
  }
  void insert(const Action& action, const std::vector<Action>& ahead_of) {
    const auto taker = std::find_if(actions_.begin(), actions_.end(), [&](const Action& other) {
      return std::find(ahead_of.begin(), ahead_of.end(), other) != ahead_of.end();
    });
    REHEARSE_CHECK(taker != actions_.end(), "nobody takes what {} hands on", to_string(action));
    seen_.insert({action.kind, action.stage, *action.micro_batch});
    actions_.insert(taker, action);
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

  const RankId rank_;
  const RankProgram& program_;
  Messages& messages_;
  std::set<std::tuple<ActionKind, StageId, MicroBatchId>> seen_;
  std::vector<Action> actions_;
};

ScheduleTable table_of(const Plan& plan, const std::vector<RankId>& ranks, bool fill) {
  Messages messages(plan, ranks);
  ScheduleTable table;
  for (const RankId rank : ranks) {
    table.ranks.push_back(Reader(plan, rank, messages).run(fill));
    for (const Action& action : table.ranks.back())
      table.has_messages = table.has_messages || !is_pass(action.kind);
  }
  return table;
}

// The ranks of each pipeline that runs other programs than those before it.
std::vector<std::vector<RankId>> different_pipelines(const Plan& plan) {
  std::map<std::int64_t, std::vector<RankId>> replicas;  // by first micro-batch
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const RankBinding& rank = plan.ranks[r];
    if (rank.slice == plan.ranks.front().slice)
      replicas[rank.first_micro_batch].push_back(RankId(r));
  }
  std::set<std::vector<RankClassId>> known;
  std::vector<std::vector<RankId>> pipelines;
  for (auto& [micro_batch, ranks] : replicas) {
    std::sort(ranks.begin(), ranks.end(), [&](RankId a, RankId b) {
      return program_of(plan, a).stages.front().number < program_of(plan, b).stages.front().number;
    });
    std::vector<RankClassId> programs;
    for (const RankId rank : ranks)
      programs.push_back(plan.ranks[rank.index()].program);
    if (known.insert(programs).second) pipelines.push_back(ranks);
  }
  return pipelines;
}

}  // namespace

std::vector<PlanPipeline> pipelines_of(const Plan& plan) {
  std::vector<PlanPipeline> pipelines;
  for (const std::vector<RankId>& ranks : different_pipelines(plan))
    pipelines.push_back({ranks, table_of(plan, ranks, false)});
  return pipelines;
}

ScheduleTable schedule_of(const Plan& plan) {
  return table_of(plan, different_pipelines(plan).front(), true);
}

}  // namespace rehearse
