// The verifier against random damage: every mutant of a good plan is refused, or an independent
// judge (symbolic.h) plays it in many orders and finds it trains the same weights in all of them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "model/base/text.h"
#include "model/plan/plan_text.h"
#include "model/plan/verify.h"
#include "tests/plan/mutations.h"
#include "tests/plan/symbolic.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

// ---- good plans --------------------------------------------------------------------------------

struct Good {
  std::string name;
  Plan plan;
};

ModelSpec small_mlp() {
  return {"mlp", {{"image", {2, 2, 1}}, {"hidden", {3, 3, 3}}, {"classes", {2}}}};
}
ModelSpec small_gpt(std::int64_t layers, std::int64_t tied) {
  return {"gpt",
          {{"layers", {layers}},
           {"width", {4}},
           {"heads", {2}},
           {"vocabulary", {6}},
           {"sequence", {4}},
           {"positions", {4}},
           {"tied", {tied}}}};
}

StrategySpec sharded(Sharding sharding, std::int64_t micro_batches) {
  StrategySpec strategy = testing::data_parallel("sharded", Bytes::bytes(100));
  strategy.sharding = sharding;
  strategy.micro_batches = micro_batches;
  return strategy;
}

StrategySpec chunked(std::string schedule, std::int64_t micro_batches) {
  StrategySpec strategy = testing::pipeline(std::move(schedule), 2, micro_batches);
  strategy.pipeline->chunks = 2;
  return strategy;
}

StrategySpec tensor(bool sequence_parallel, std::int64_t micro_batches = 1) {
  StrategySpec strategy = testing::data_parallel("tensor", Bytes::bytes(300));
  strategy.tensor = TensorSpec{2, sequence_parallel};
  strategy.micro_batches = micro_batches;
  return strategy;
}

std::vector<Good> good_plans() {
  StrategySpec recomputing = testing::data_parallel("full", Bytes::bytes(100));
  recomputing.recomputation = Recomputation::full;
  recomputing.micro_batches = 2;
  StrategySpec all = testing::pipeline("1f1b", 2, 2);
  all.sharding = Sharding::parameters;
  StrategySpec workers = testing::subnetwork({2, 3}, 3);
  workers.bucket = Bytes::bytes(100);
  StrategySpec sharded_workers = workers;
  sharded_workers.sharding = Sharding::parameters;
  const StrategySpec backward = testing::masked_backward(workers);
  StrategySpec sharded_backward = backward;
  sharded_backward.sharding = Sharding::gradients;
  StrategySpec accumulating_backward = backward;
  accumulating_backward.micro_batches = 2;
  StrategySpec alone = testing::masked_backward(testing::by_width(testing::subnetwork({1, 3}, 3)));
  StrategySpec nested =
      testing::by_width(testing::dealt(AssignmentKind::nested, {{1, 1}, {2, 3}, {1, 3}}));
  nested.subnetwork->scaling = Scaling::in_training;
  StrategySpec parked =
      testing::redrawn(testing::dealt(AssignmentKind::rolling, {{2, 3}, {1, 3}, {1, 3}}), 1);
  parked.bucket = Bytes::bytes(100);
  StrategySpec pipes = testing::pipeline("zb-h1", 2, 3);
  pipes.sharding = Sharding::gradients;
  StrategySpec sequences = testing::pipeline("zb-h1", 2, 3);
  sequences.tensor = TensorSpec{2, true};
  StrategySpec shares = testing::pipeline("1f1b", 2, 3);
  shares.tensor = TensorSpec{2, false};
  shares.pipeline->scatter_gather = true;
  StrategySpec awaited_shares = shares;
  awaited_shares.pipeline->schedule = "zb-h1";
  awaited_shares.pipeline->exchange = StageExchange::batched;
  StrategySpec piped_workers = testing::subnetwork({1, 2}, 2);
  piped_workers.pipeline = PipelineSpec{4, "gpipe", 2};
  // Every parameter is a bucket: residual blocks are cut into several ops.
  StrategySpec cut_pipe = testing::pipeline("1f1b", 2, 2);
  cut_pipe.bucket = Bytes::bytes(1);
  // Buckets of more than one op.
  StrategySpec wide = sharded(Sharding::gradients, 2);
  wide.bucket = Bytes::bytes(400);
  const std::vector<testing::PlanCase> cases = {
      {"ddp", testing::data_parallel("ddp", Bytes::bytes(50)), small_mlp(), 3},
      {"stochastic depth",
       testing::with_depth(testing::data_parallel("depth", Bytes::bytes(100)), 0.3, 1),
       small_gpt(3, 1), 3},
      {"zero1", sharded(Sharding::optimizer_state, 2), small_mlp(), 3},
      {"zero2", sharded(Sharding::gradients, 2), small_mlp(), 3},
      {"zero3", sharded(Sharding::parameters, 2), small_mlp(), 2},
      {"1f1b", testing::pipeline("1f1b", 3, 4), small_mlp(), 3},
      {"interleaved", chunked("interleaved", 2), small_mlp(), 2},
      {"zb-h1", testing::pipeline("zb-h1", 2, 3), small_mlp(), 2},
      {"zb-v", chunked("zb-v", 2), small_mlp(), 2},
      {"tied 1f1b", testing::pipeline("1f1b", 2, 2), small_gpt(1, 1), 2},
      {"full recomputation", recomputing, small_gpt(1, 1), 2},
      {"tensor", tensor(false), small_gpt(1, 1), 4},
      {"sequence", tensor(true), small_gpt(1, 0), 4},
      {"sequence x zb-h1", sequences, small_gpt(1, 0), 4},
      {"shares x 1f1b", shares, small_gpt(1, 1), 4},
      {"shares x zb-h1, awaited", awaited_shares, small_gpt(1, 0), 4},
      {"subnetwork", workers, small_gpt(3, 1), 3},
      {"sharded subnetwork", sharded_workers, small_gpt(3, 1), 3},
      {"backward masking", backward, small_gpt(3, 1), 3},
      {"sharded, backward masking", sharded_backward, small_gpt(3, 1), 3},
      {"one holder, backward masking", alone, small_mlp(), 3},
      {"nested", nested, small_mlp(), 3},
      {"parked", parked, small_gpt(3, 1), 3},
      {"zero3 x 1f1b", all, small_mlp(), 4},
      {"zero2 x zb-h1", pipes, small_mlp(), 4},
      {"tensor, two micro-batches", tensor(false, 2), small_gpt(1, 0), 4},
      {"sequence, two micro-batches", tensor(true, 2), small_gpt(1, 0), 2},
      {"subnetwork x gpipe", piped_workers, small_gpt(4, 0), 8},
      {"blocks cut", testing::data_parallel("ddp", Bytes::bytes(1)), small_gpt(1, 0), 2},
      {"blocks cut x 1f1b", cut_pipe, small_gpt(2, 0), 4},
      {"zero2, wide buckets", wide, small_gpt(1, 0), 2},
  };
  const OuterOptimizer outer{};
  const std::vector<testing::PlanCase> local_cases = {
      {"local sgd", testing::local(testing::data_parallel("ddp", Bytes::bytes(50)), 2), small_mlp(),
       3},
      {"diloco", testing::local(testing::data_parallel("ddp", Bytes::bytes(100)), 2, outer),
       small_mlp(), 3},
      {"diloco, between", testing::local(testing::data_parallel("ddp"), 2, outer, false),
       small_mlp(), 3},
      {"diloco x 1f1b", testing::local(testing::pipeline("1f1b", 2, 2), 2, outer), small_mlp(), 4},
      {"local tensor", testing::local(tensor(false), 2), small_gpt(1, 1), 4},
      {"local subnetwork", testing::local(workers, 2, outer), small_gpt(3, 1), 3},
      {"ist", testing::local(testing::by_width(testing::subnetwork({1, 3}, 3)), 2), small_mlp(), 3},
  };
  // Several levels of the tree, with and without a group, in and out of the micro-batches' order.
  const std::vector<testing::PlanCase> exact_cases = {
      {"exact accumulation", testing::accumulation(6), small_mlp(), 1},
      {"exact ddp", sharded(Sharding::none, 4), small_mlp(), 3},
      {"exact zero3", sharded(Sharding::parameters, 4), small_mlp(), 2},
      {"exact zb-v", chunked("zb-v", 4), small_mlp(), 4},
      {"exact, backward masking", accumulating_backward, small_gpt(3, 1), 3},
  };
  const std::vector<testing::PlanCase> clipped_cases = {
      {"clipped", testing::accumulation(2), small_mlp(), 1},
      {"clipped ddp", testing::data_parallel("ddp", Bytes::bytes(100)), small_mlp(), 3},
      {"clipped zero3", sharded(Sharding::parameters, 2), small_mlp(), 2},
      {"clipped 1f1b", testing::pipeline("1f1b", 2, 2), small_mlp(), 4},
      {"clipped tensor", tensor(false), small_gpt(1, 1), 4},
      {"clipped subnetwork", workers, small_gpt(3, 1), 3},
      {"clipped, backward masking", backward, small_gpt(3, 1), 3},
  };
  std::vector<Good> plans;
  const auto add = [&](const testing::PlanCase& c, Reduction reduction,
                       std::optional<double> clip = std::nullopt) {
    Result<Plan> plan = testing::plan_of(c, 24, reduction, clip);
    if (!plan) {
      ADD_FAILURE() << c.name << ": " << format(plan.errors());
      return;
    }
    plans.push_back({c.name, std::move(plan).value()});
  };
  for (const testing::PlanCase& c : cases)
    add(c, Reduction::fast);
  for (const testing::PlanCase& c : exact_cases)
    add(c, Reduction::exact);
  for (const testing::PlanCase& c : local_cases) {
    add(c, Reduction::fast);
    if (c.devices == 4)
      add({"clipped " + c.name, c.strategy, c.model, c.devices}, Reduction::fast, 1.0);
  }
  // Differences of master copies.
  Training rounded = testing::training(24);
  rounded.dtype = DataType::bf16;
  plans.push_back(
      {"diloco in bf16",
       *build_plan(testing::local(testing::data_parallel("ddp", Bytes::bytes(50)), 2, outer),
                   small_mlp(), rounded, 3, even_costs(4))});
  for (const testing::PlanCase& c : clipped_cases)
    add(c, c.devices == 2 ? Reduction::exact : Reduction::fast, 1.0);
  return plans;
}

// Both judges accept what the strategies build, in every order.
TEST(Mutations, GoodPlansAreGood) {
  for (const Good& good : good_plans()) {
    const Status status = verify(good.plan);
    EXPECT_TRUE(status.ok()) << good.name << ": " << (status ? "" : format(status.errors()));
    Random random(1);
    EXPECT_EQ(testing::play(good.plan, random).problem, "") << good.name;
    EXPECT_EQ(testing::what_goes_wrong(good.plan, good.plan, 50, 7), "") << good.name;
  }
}

// Whether tensor-parallel ranks send all that they have alike or a share each, everybody computes
// with the same and trains the same weights.
TEST(Mutations, SharesOfMessagesTrainWhatWholeOnesDo) {
  for (const char* schedule : {"1f1b", "gpipe", "zb-h1", "interleaved"}) {
    for (const Recomputation recomputation : {Recomputation::none, Recomputation::full}) {
      StrategySpec strategy = testing::pipeline(schedule, 2, 2);
      strategy.tensor = TensorSpec{2, false};
      strategy.recomputation = recomputation;
      const auto trained = [&](bool scatter_gather) {
        strategy.pipeline->scatter_gather = scatter_gather;
        const Plan plan = *testing::plan_of({schedule, strategy, small_gpt(3, 1), 4}, 4);
        Random random(1);
        const testing::Played played = testing::play(plan, random);
        EXPECT_EQ(played.problem, "") << schedule;
        return played.weights;
      };
      EXPECT_EQ(trained(true), trained(false)) << schedule;
    }
  }
}

// ---- damage ------------------------------------------------------------------------------------

class Mutator {
 public:
  Mutator(Plan& plan, Random& random) : plan(plan), random_(random) {
    program_number = below(plan.programs.size());
  }

  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_.below(n)); }
  template <class T>
  T& one_of(std::vector<T>& items) {
    return items[below(items.size())];
  }

  RankProgram& program() { return plan.programs[program_number]; }
  Op& any_op() { return one_of(program().ops); }
  // One of the ops that are such; none: there is none.
  Op* op_that(const std::function<bool(const Op&)>& fits) {
    std::vector<Op*> found;
    for (Op& op : program().ops) {
      if (fits(op)) found.push_back(&op);
    }
    return found.empty() ? nullptr : found[below(found.size())];
  }
  Operand* any_operand() {
    Op* op = op_that([](const Op& it) { return !it.operands.empty(); });
    return op == nullptr ? nullptr : &one_of(op->operands);
  }
  // None: this rank only passes on what others have made.
  ParameterClass* any_class() {
    auto& classes = program().parameter_classes;
    return classes.empty() ? nullptr : &one_of(classes);
  }
  template <class Detail>
  Detail* any_detail() {
    Op* op = op_that([](const Op& it) { return std::holds_alternative<Detail>(it.detail); });
    return op == nullptr ? nullptr : &std::get<Detail>(op->detail);
  }
  Compute* any_pass() {
    Op* op = op_that([](const Op& it) { return is_pass(it.kind); });
    return op == nullptr ? nullptr : &std::get<Compute>(op->detail);
  }
  Op* any_collective() {
    return op_that([](const Op& it) { return is_collective(it.kind); });
  }
  // A step up or down, or to somewhere near.
  std::int64_t another(std::int64_t number) {
    const std::vector<std::int64_t> others = {number - 1, number + 1, number / 2, number * 2,
                                              number + 4};
    return others[below(others.size())];
  }

  Plan& plan;
  std::size_t program_number = 0;

 private:
  Random& random_;
};

struct Mutation {
  std::string_view name;
  void (*apply)(Mutator&);
};

void drop_op(Mutator& m) {
  testing::drop_op(m.program(), m.below(m.program().ops.size()));
}

void swap_neighbours(Mutator& m) {
  if (m.program().ops.size() < 2) return;
  const std::size_t op = m.below(m.program().ops.size() - 1);
  testing::swap_ops(m.program(), op, op + 1);
}

void swap_any(Mutator& m) {
  const std::size_t n = m.program().ops.size();
  testing::swap_ops(m.program(), m.below(n), m.below(n));
}

void move_op(Mutator& m) {
  const std::size_t n = m.program().ops.size();
  const std::size_t op = m.below(n);
  if (op + 1 < n) testing::move_behind(m.program(), op, op + 1 + m.below(n - op - 1));
}

void change_bytes(Mutator& m) {
  auto* transfer = m.any_detail<Transfer>();
  if (transfer != nullptr) transfer->bytes = Bytes::bytes(m.another(transfer->bytes.bytes()));
}

void change_tag(Mutator& m) {
  auto* transfer = m.any_detail<Transfer>();
  if (transfer != nullptr) transfer->tag = m.another(transfer->tag);
}

void swap_tags(Mutator& m) {
  auto *a = m.any_detail<Transfer>(), *b = m.any_detail<Transfer>();
  if (a != nullptr) std::swap(a->tag, b->tag);
}

void change_peer(Mutator& m) {
  RankBinding& rank = m.one_of(m.plan.ranks);
  if (rank.peers.empty()) return;
  RankId& peer = m.one_of(rank.peers);
  if (m.below(2) == 0) {
    std::swap(peer, m.one_of(rank.peers));
  } else {
    peer = RankId(m.below(m.plan.ranks.size()));
  }
}

void change_peer_slot(Mutator& m) {
  auto* transfer = m.any_detail<Transfer>();
  if (transfer != nullptr) transfer->peer = m.below(2);
}

// Two replicas swap partners: a consistent change.
void cross_peers(Mutator& m) {
  std::vector<RankBinding>& ranks = m.plan.ranks;
  RankBinding &a = m.one_of(ranks), &b = m.one_of(ranks);
  if (a.program == b.program && a.peers.size() == b.peers.size()) std::swap(a.peers, b.peers);
}

void change_group(Mutator& m) {
  if (m.plan.groups.empty()) return;
  auto& members = m.one_of(m.plan.groups).members;
  switch (m.below(4)) {
    case 0:
      members[m.below(members.size())] = RankId(m.below(m.plan.ranks.size()));
      break;
    case 1:
      members.erase(members.begin() + static_cast<std::ptrdiff_t>(m.below(members.size())));
      break;
    default:
      std::swap(m.one_of(members), m.one_of(members));
  }
}

void change_group_binding(Mutator& m) {
  RankBinding& rank = m.one_of(m.plan.ranks);
  if (rank.groups.empty()) return;
  if (m.below(2) == 0) {
    std::swap(m.one_of(rank.groups), m.one_of(rank.groups));
  } else {
    m.one_of(rank.groups) = GroupId(m.below(m.plan.groups.size()));
  }
}

void change_range(Mutator& m) {
  auto* collective = m.any_detail<Collective>();
  if (collective == nullptr) return;
  auto& bound = m.below(2) == 0 ? collective->begin : collective->end;
  bound = m.another(bound);
}

void change_divisor(Mutator& m) {
  auto* collective = m.any_detail<Collective>();
  if (collective != nullptr) collective->divisor = m.another(collective->divisor);
}

void change_sum(Mutator& m) {
  auto* sum = m.any_detail<Accumulate>();
  if (sum == nullptr) return;
  std::int64_t* const numbers[] = {&sum->begin, &sum->end, &sum->divisor};
  std::int64_t& number = *numbers[m.below(3)];
  number = m.another(number);
}

void change_collective_kind(Mutator& m) {
  constexpr OpKind kKinds[] = {OpKind::all_reduce, OpKind::reduce_scatter, OpKind::all_gather,
                               OpKind::broadcast};
  Op* op = m.any_collective();
  if (op != nullptr) op->kind = kKinds[m.below(4)];
}

void change_sources(Mutator& m) {
  auto* collective = m.any_detail<Collective>();
  if (collective != nullptr) collective->sources = m.another(collective->sources);
}

void change_element_bytes(Mutator& m) {
  auto* collective = m.any_detail<Collective>();
  if (collective != nullptr) collective->element_bytes = m.another(collective->element_bytes);
}

void change_group_slot(Mutator& m) {
  auto* collective = m.any_detail<Collective>();
  if (collective != nullptr) collective->group = m.below(3);
}

void drop_dependency(Mutator& m) {
  Op* op = m.op_that([](const Op& it) { return !it.after.empty(); });
  if (op == nullptr) return;
  op->after.erase(op->after.begin() + static_cast<std::ptrdiff_t>(m.below(op->after.size())));
}

void move_dependency(Mutator& m) {
  Op* op = m.op_that([](const Op& it) { return !it.after.empty(); });
  if (op != nullptr) m.one_of(op->after) = OpId(m.below(m.program().ops.size()));
}

void change_access(Mutator& m) {
  Operand* operand = m.any_operand();
  if (operand != nullptr) operand->access = static_cast<Access>(m.below(3));
}

void change_lifetime(Mutator& m) {
  Operand* operand = m.any_operand();
  if (operand == nullptr) return;
  bool& flag = m.below(2) == 0 ? operand->allocates : operand->frees;
  flag = !flag;
}

// The end of a buffer's life moves from one of its users to another.
void move_free(Mutator& m) {
  const BufferId buffer(m.below(m.program().buffers.size()));
  std::vector<Operand*> users;
  for (Op& op : m.program().ops) {
    for (Operand& operand : op.operands) {
      if (operand.buffer == buffer) users.push_back(&operand);
    }
  }
  if (users.empty()) return;
  Operand *a = m.one_of(users), *b = m.one_of(users);
  std::swap(a->frees, b->frees);
}

void change_buffer(Mutator& m) {
  Operand* operand = m.any_operand();
  if (operand == nullptr) return;
  const auto& buffers = m.program().buffers;
  const Buffer& now = buffers[operand->buffer.index()];
  std::vector<BufferId> alike;
  for (std::size_t b = 0; b < buffers.size(); ++b) {
    if (buffers[b].kind == now.kind && buffers[b].size == now.size) alike.emplace_back(b);
  }
  operand->buffer = m.one_of(alike);
}

// Two operands of one kind change places: each buffer is still used as often.
void swap_buffers(Mutator& m) {
  Operand *a = m.any_operand(), *b = m.any_operand();
  if (a == nullptr) return;
  const auto& buffers = m.program().buffers;
  if (buffers[a->buffer.index()].kind == buffers[b->buffer.index()].kind)
    std::swap(a->buffer, b->buffer);
}

// Some users of a transient buffer work on another one.
void second_buffer(Mutator& m) {
  RankProgram& program = m.program();
  const BufferId old(m.below(program.buffers.size()));
  if (is_persistent(program.buffers[old.index()].kind)) return;
  std::vector<Operand*> moved;
  for (Op& op : program.ops) {
    for (Operand& operand : op.operands) {
      if (operand.buffer == old && m.below(2) == 0) moved.push_back(&operand);
    }
  }
  if (moved.empty()) return;
  const BufferId added(program.buffers.size());
  program.buffers.push_back(program.buffers[old.index()]);
  for (Operand* operand : moved) {
    operand->buffer = added;
    operand->allocates = operand->frees = false;
  }
  moved.front()->allocates = moved.back()->frees = true;
  if (moved.front()->access == Access::update) moved.front()->access = Access::write;
  // The others' buffer lives from its first user to its last.
  std::vector<Operand*> left;
  for (Op& op : program.ops) {
    for (Operand& operand : op.operands) {
      if (operand.buffer == old) left.push_back(&operand);
    }
  }
  for (Operand* operand : left)
    operand->allocates = operand->frees = false;
  if (!left.empty()) left.front()->allocates = left.back()->frees = true;
}

void change_size(Mutator& m) {
  Buffer& buffer = m.one_of(m.program().buffers);
  buffer.size = Bytes::bytes(m.another(buffer.size.bytes()));
}

void change_content(Mutator& m) {
  Buffer& buffer = m.one_of(m.program().buffers);
  const Buffer& other = m.one_of(m.program().buffers);
  buffer.value = other.value;
  if (m.below(2) == 0) return;
  buffer.parameter_class = other.parameter_class;
  buffer.begin = other.begin;
  buffer.end = other.end;
}

void change_micro_batch(Mutator& m) {
  Compute* pass = m.below(4) == 0 ? m.any_detail<Compute>() : m.any_pass();
  if (pass != nullptr) pass->micro_batch = MicroBatchId(m.below(4));
}

void change_segments(Mutator& m) {
  Compute* pass = m.any_pass();
  if (pass == nullptr) return;
  SegmentId& bound = m.below(2) == 0 ? pass->begin : pass->end;
  bound = SegmentId(m.below(2) == 0 ? bound.index() + 1
                                    : bound.index() - std::min<std::size_t>(1, bound.index()));
}

void change_pass_kind(Mutator& m) {
  constexpr OpKind kKinds[] = {OpKind::forward, OpKind::backward, OpKind::backward_input,
                               OpKind::backward_weight, OpKind::recompute};
  Op* op = m.op_that([](const Op& it) { return is_pass(it.kind); });
  if (op != nullptr) op->kind = kKinds[m.below(5)];
}

void drop_operand(Mutator& m) {
  Op* op = m.op_that([](const Op& it) { return !it.operands.empty(); });
  if (op == nullptr) return;
  op->operands.erase(op->operands.begin() +
                     static_cast<std::ptrdiff_t>(m.below(op->operands.size())));
}

void swap_operands(Mutator& m) {
  Op* op = m.op_that([](const Op& it) { return it.operands.size() > 1; });
  if (op != nullptr) std::swap(m.one_of(op->operands), m.one_of(op->operands));
}

void change_sharding(Mutator& m) {
  ParameterClass* held = m.any_class();
  if (held != nullptr) held->sharding = static_cast<Sharding>(m.below(4));
}

void change_holding(Mutator& m) {
  ParameterClass* held = m.any_class();
  if (held == nullptr) return;
  switch (m.below(3)) {
    case 0:
      held->is_held = !held->is_held;
      break;
    case 1:
      held->readers = held->readers ? std::nullopt : std::optional<std::size_t>(m.below(4));
      break;
    default:
      held->readers = m.below(4);
  }
}

// A class of some program is parked in another, too, or with nobody instead.
void change_parking(Mutator& m) {
  const ParameterClass* from = m.any_class();
  if (from == nullptr) return;
  ParameterClass parked = *from;
  parked.is_held = false;
  parked.holders = 0;
  parked.group.reset();
  parked.readers.reset();
  RankProgram& into = m.one_of(m.plan.programs);
  into.buffers.push_back(
      {.kind = BufferKind::parameters,
       .size = Bytes::bytes(parked.elements * state_sizes(m.plan.training).parameter),
       .parameter_class = ParameterClassId(into.parameter_classes.size())});
  into.parameter_classes.push_back(parked);
  ParameterClass* last = m.any_class();
  if (m.below(2) == 0 && is_parked(*last)) last->parameters.clear(), last->elements = 0;
}

void change_holders(Mutator& m) {
  ParameterClass* held = m.any_class();
  if (held != nullptr) held->holders = m.another(held->holders);
}

void change_masking(Mutator& m) {
  m.plan.masking = m.plan.masking == Masking::forward ? Masking::backward : Masking::forward;
}

void change_local_steps(Mutator& m) {
  switch (m.below(3)) {
    case 0:
      m.plan.local_steps = 1 + static_cast<std::int64_t>(m.below(3));
      break;
    case 1:
      m.plan.synchronises = !m.plan.synchronises;
      break;
    default:
      m.plan.outer = m.plan.outer ? std::nullopt : std::optional<OuterOptimizer>(OuterOptimizer{});
  }
}

void change_update_kind(Mutator& m) {
  constexpr OpKind kKinds[] = {OpKind::optimizer_step, OpKind::outer_gradient, OpKind::outer_step};
  Op* op = m.op_that([](const Op& it) { return std::holds_alternative<Optimize>(it.detail); });
  if (op != nullptr) op->kind = kKinds[m.below(3)];
}

void change_buckets(Mutator& m) {
  ParameterClass* held = m.any_class();
  if (held == nullptr || held->buckets.empty()) return;
  std::int64_t& end = m.one_of(held->buckets);
  end = m.another(end);
}

void change_class(Mutator& m) {
  ParameterClass* held = m.any_class();
  if (held != nullptr) std::swap(m.one_of(held->parameters), m.one_of(held->parameters));
}

void change_lane(Mutator& m) {
  m.any_op().lane = LaneId(m.below(m.program().lanes.size()));
}

// An op gets a lane of its own, of the old one's kind or another.
void add_lane(Mutator& m) {
  RankProgram& program = m.program();
  Op& op = m.any_op();
  Lane lane = program.lanes[op.lane.index()];
  if (m.below(2) == 0) {
    lane.stage = StageId(lane.stage.index() + 1 + m.below(2));
  } else {
    lane.kind = static_cast<LaneKind>(m.below(8));
  }
  op.lane = LaneId(program.lanes.size());
  program.lanes.push_back(lane);
}

void change_lane_kind(Mutator& m) {
  Lane& lane = m.one_of(m.program().lanes);
  if (m.below(2) == 0) {
    lane.kind = static_cast<LaneKind>(m.below(8));
  } else {
    lane.stage = StageId(m.below(3));
  }
}

void change_samples(Mutator& m) {
  RankBinding& rank = m.one_of(m.plan.ranks);
  if (m.below(2) == 0) {
    rank.first_micro_batch = m.another(rank.first_micro_batch);
  } else {
    std::swap(rank.first_micro_batch, m.one_of(m.plan.ranks).first_micro_batch);
  }
}

void change_program(Mutator& m) {
  m.one_of(m.plan.ranks).program = RankClassId(m.below(m.plan.programs.size()));
}

void change_slice(Mutator& m) {
  std::swap(m.one_of(m.plan.ranks).slice, m.one_of(m.plan.ranks).slice);
}

void change_stages(Mutator& m) {
  Stage& stage = m.one_of(m.program().stages);
  SegmentId& bound = m.below(2) == 0 ? stage.begin : stage.end;
  bound = SegmentId(m.below(2) == 0 ? bound.index() + 1
                                    : bound.index() - std::min<std::size_t>(1, bound.index()));
}

void change_optimizer_class(Mutator& m) {
  auto* step = m.any_detail<Optimize>();
  if (step != nullptr && m.any_class() != nullptr)
    step->parameter_class = ParameterClassId(m.below(m.program().parameter_classes.size()));
}

constexpr Mutation kMutations[] = {
    {"drop an op", drop_op},
    {"swap neighbouring ops", swap_neighbours},
    {"swap two ops", swap_any},
    {"move an op", move_op},
    {"bytes of a transfer", change_bytes},
    {"tag of a transfer", change_tag},
    {"swap two tags", swap_tags},
    {"peer of a rank", change_peer},
    {"peer slot of a transfer", change_peer_slot},
    {"peers of two ranks", cross_peers},
    {"group", change_group},
    {"groups of a rank", change_group_binding},
    {"range of a collective", change_range},
    {"divisor of a collective", change_divisor},
    {"range or divisor of a sum", change_sum},
    {"kind of a collective", change_collective_kind},
    {"sources of a collective", change_sources},
    {"element bytes", change_element_bytes},
    {"group slot of a collective", change_group_slot},
    {"drop a dependency", drop_dependency},
    {"move a dependency", move_dependency},
    {"access of an operand", change_access},
    {"lifetime of a buffer", change_lifetime},
    {"move the end of a life", move_free},
    {"buffer of an operand", change_buffer},
    {"swap two buffers", swap_buffers},
    {"add a buffer", second_buffer},
    {"size of a buffer", change_size},
    {"content of a buffer", change_content},
    {"micro-batch of a pass", change_micro_batch},
    {"segments of a pass", change_segments},
    {"kind of a pass", change_pass_kind},
    {"drop an operand", drop_operand},
    {"swap two operands", swap_operands},
    {"sharding of a class", change_sharding},
    {"who holds or reads a class", change_holding},
    {"where a class is parked", change_parking},
    {"holders of a class", change_holders},
    {"masking", change_masking},
    {"local steps", change_local_steps},
    {"kind of an update", change_update_kind},
    {"buckets of a class", change_buckets},
    {"order of a class", change_class},
    {"class of an update", change_optimizer_class},
    {"lane of an op", change_lane},
    {"lane", change_lane_kind},
    {"add a lane", add_lane},
    {"samples of a rank", change_samples},
    {"program of a rank", change_program},
    {"slice of a rank", change_slice},
    {"stages", change_stages},
};

// The first line of the good plan's text that is another one in the mutant's, and that.
std::string first_change(const std::string& good, const std::string& mutant) {
  const auto before = split(good, '\n'), after = split(mutant, '\n');
  for (std::size_t line = 0; line < std::min(before.size(), after.size()); ++line) {
    if (before[line] != after[line])
      return fmt::format("was: {}\nis:  {}", before[line], after[line]);
  }
  return "";
}

// Which replica runs what is drawn: with another's program a rank has another draw, which is as
// good.
bool is_another_draw(const Plan& plan, const Plan& good) {
  if (!good.survival) return false;
  return !std::equal(
      plan.ranks.begin(), plan.ranks.end(), good.ranks.begin(), good.ranks.end(),
      [](const RankBinding& a, const RankBinding& b) { return a.program == b.program; });
}

struct Count {
  int mutants = 0, caught = 0, harmless = 0, missed = 0;
};

// A mutant that the verifier lets pass trains what the good plan trains, whatever the timing: all
// data is there when it is read, no two ops work on one thing at once, and nobody waits for ever.
TEST(Mutations, AreCaughtOrHarmless) {
  constexpr int kTrials = 20;     // by plan and kind
  constexpr int kSchedules = 20;  // by mutant that is let pass
  const std::vector<Good> plans = good_plans();
  std::string table = fmt::format("{:28}{:>9}{:>9}{:>10}{:>8}\n", "mutation", "mutants", "caught",
                                  "harmless", "missed");
  // Beyond the last kind: two at once.
  for (std::size_t kind = 0; kind <= std::size(kMutations); ++kind) {
    const std::string_view name =
        kind < std::size(kMutations) ? kMutations[kind].name : "two of these";
    Count count;
    for (std::size_t p = 0; p < plans.size(); ++p) {
      const std::string before = print(plans[p].plan);
      for (int trial = 0; trial < kTrials; ++trial) {
        Random random(kind * 1000 + p, static_cast<std::uint64_t>(trial));
        Plan plan = plans[p].plan;
        Mutator mutator(plan, random);
        if (kind < std::size(kMutations)) {
          kMutations[kind].apply(mutator);
        } else {
          kMutations[mutator.below(std::size(kMutations))].apply(mutator);
          kMutations[mutator.below(std::size(kMutations))].apply(mutator);
        }
        if (print(plan) == before || is_another_draw(plan, plans[p].plan)) continue;
        ++count.mutants;
        if (!verify(plan)) {
          ++count.caught;
          continue;
        }
        const std::string wrong =
            testing::what_goes_wrong(plan, plans[p].plan, kSchedules, 1000 * p + kind);
        ++(wrong.empty() ? count.harmless : count.missed);
        EXPECT_EQ(wrong, "") << name << ", " << plans[p].name << ", program "
                             << mutator.program_number << ", trial " << trial << "\n"
                             << first_change(before, print(plan));
      }
    }
    table += fmt::format("{:28}{:>9}{:>9}{:>10}{:>8}\n", name, count.mutants, count.caught,
                         count.harmless, count.missed);
  }
  fmt::print("{}", table);
}

}  // namespace
}  // namespace rehearse
