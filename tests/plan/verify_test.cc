#include "model/plan/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "model/plan/plan_text.h"
#include "tests/plan/mutations/reorder.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

using ::testing::HasSubstr;

std::string errors_of(const Plan& plan) {
  const Status status = verify(plan);
  return status ? "" : format(status.errors());
}

Plan good(const StrategySpec& strategy) {
  return *testing::plan_of({"", strategy, testing::resnet20(), 4});
}

OpId find_op(const RankProgram& program, OpKind kind) {
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (program.ops[op].kind == kind) return OpId(op);
  }
  ADD_FAILURE() << "no " << to_string(kind);
  return OpId(0);
}

TEST(Verify, AcceptsWhatTheStrategiesBuild) {
  for (const auto& c : testing::all_cases()) {
    const Result<Plan> plan = testing::plan_of(c);
    ASSERT_TRUE(plan.ok()) << c.name;
    EXPECT_EQ(errors_of(*plan), "") << c.name;
  }
}

Op& find_update(RankProgram& program) {
  return program.ops[find_op(program, OpKind::optimizer_step).index()];
}

struct Damage {
  std::string name;
  StrategySpec strategy;
  std::function<void(Plan&)> damage;
  std::string expected;
};

// Every rule is broken once; the message says which op and what about it.
TEST(Verify, NamesWhatIsWrong) {
  const StrategySpec ddp = testing::data_parallel(), pipe = testing::pipeline("1f1b", 4, 4);
  const StrategySpec width = testing::by_width(testing::subnetwork({1, 2}));
  const std::vector<Damage> cases = {
      {"a width without units", width,
       [](Plan& p) { std::fill_n(p.programs[0].subnetwork.holds.begin(), 4, false); },
       "it holds units of 8 of the 9 widths: one of each is needed"},
      {"widths cut twice", width,
       [](Plan& p) {
         p.mesh.workers = 2;
         p.mesh.tensor = 2;
       },
       "tensor parallelism cuts the widths that the plan's units are parts of"},
      {"dependency forwards", ddp, [](Plan& p) { p.programs[0].ops[1].after = {OpId(5)}; },
       "op 1 (forward, segments 0..12, micro-batch 0): it waits for op 5, which does not stand "
       "before it"},
      {"wrong lane", ddp, [](Plan& p) { p.programs[0].ops[1].lane = LaneId(1); },
       "op 1 (forward, segments 0..12, micro-batch 0): it stands on lane 1 (collective)"},
      {"second lane of compute", ddp,
       [](Plan& p) {
         p.programs[0].lanes.push_back({LaneKind::compute, StageId(1)});
       },
       "a compute lane of stage 1: a rank has one of them"},
      {"second lane of collectives", ddp,
       [](Plan& p) {
         p.programs[0].lanes.push_back({LaneKind::collective, StageId(1)});
       },
       "a collective lane of stage 1: a rank has one of them"},
      {"micro-batches beyond counting", ddp,
       [](Plan& p) { p.programs[0].micro_batches = std::int64_t{1} << 40; },
       "1099511627776 micro-batches, but"},
      {"mesh beyond counting", ddp,
       [](Plan& p) {
         p.mesh = {.data = std::int64_t{1} << 40, .workers = std::int64_t{1} << 40, .order = {}};
       },
       "ranks, the plan binds 4"},
      {"another micro-batch's samples", pipe,
       [](Plan& p) {
         const OpId load = find_op(p.programs[0], OpKind::load_batch);
         std::get<Compute>(p.programs[0].ops[load.index()].detail).micro_batch = MicroBatchId(1);
       },
       "it uses buffer 3 of micro-batch 1"},
      {"mesh", ddp, [](Plan& p) { p.mesh.data = 3; },
       "the mesh has 3 x 1 x 1 x 1 ranks, the plan binds 4"},
      {"bytes differ", pipe,
       [](Plan& p) {
         std::get<Transfer>(
             p.programs[1].ops[find_op(p.programs[1], OpKind::receive).index()].detail)
             .bytes = Bytes::bytes(8);
       },
       "but this expects 8"},
      {"tag without partner", pipe,
       [](Plan& p) {
         std::get<Transfer>(
             p.programs[1].ops[find_op(p.programs[1], OpKind::receive).index()].detail)
             .tag = 99;
       },
       "rank 1 has no receive for it"},
      {"reduction missing on one rank's class", ddp,
       [](Plan& p) {
         std::get<Collective>(
             p.programs[0].ops[find_op(p.programs[0], OpKind::all_reduce).index()].detail)
             .begin = 3;
       },
       "elements are reduced up to 0 before it"},
      {"wrong divisor", ddp,
       [](Plan& p) {
         for (Op& op : p.programs[0].ops) {
           if (op.kind == OpKind::all_reduce) std::get<Collective>(op.detail).divisor = 8;
         }
       },
       "it divides by 8, but 4 replicas add to these gradients"},
      {"reduced too early", ddp,
       [](Plan& p) {
         RankProgram& program = p.programs[0];
         for (Op& op : program.ops) {
           if (op.kind == OpKind::all_reduce) op.after.clear();
         }
       },
       "a gradient it adds to is reduced without waiting for it"},
      {"update too early", ddp, [](Plan& p) { p.programs[0].ops.back().after.clear(); },
       "it does not wait for its gradients"},
      {"group too small", ddp, [](Plan& p) { p.groups[0].members.pop_back(); },
       "it is not a member of its group 0"},
      {"batch", ddp, [](Plan& p) { p.training.batch = 512; },
       "4 micro-batches of 64 samples are not the batch of 512"},
      {"same data twice", ddp, [](Plan& p) { p.ranks[1].first_micro_batch = 0; },
       "3 micro-batches are trained on, numbered up to 3"},
      {"buffer freed early", ddp,
       [](Plan& p) {
         for (Op& op : p.programs[0].ops) {
           for (Operand& operand : op.operands) {
             if (op.kind == OpKind::forward && !operand.frees &&
                 !is_persistent(p.programs[0].buffers[operand.buffer.index()].kind))
               operand.frees = true;
           }
         }
       },
       "freed 2 times"},
      {"scratch too small", ddp,
       [](Plan& p) {
         for (Buffer& buffer : p.programs[0].buffers) {
           if (buffer.kind == BufferKind::scratch) buffer.size = Bytes::bytes(16);
         }
       },
       "it needs to write a scratch buffer of"},
      {"value buffer of the wrong size", ddp,
       [](Plan& p) {
         for (Buffer& buffer : p.programs[0].buffers) {
           if (buffer.kind == BufferKind::value) buffer.size += Bytes::bytes(4);
         }
       },
       "its content"},
  };
  for (const Damage& c : cases) {
    Plan plan = good(c.strategy);
    c.damage(plan);
    EXPECT_THAT(errors_of(plan), HasSubstr(c.expected)) << c.name;
  }
}

// A rank that has dropped its stage hands on what it gets, under another micro-batch's tag.
TEST(Verify, FollowsMicroBatchesThroughARankThatOnlyHandsThemOn) {
  StrategySpec strategy = testing::subnetwork({1, 2}, 2);
  strategy.pipeline = PipelineSpec{4, "gpipe", 2};
  const ModelSpec gpt = testing::small_gpt(4);
  const Plan right = testing::plan_of({"", strategy, gpt, 8}, 8).value();
  int relays = 0;
  for (std::size_t p = 0; p < right.programs.size(); ++p) {
    const auto& ops = right.programs[p].ops;
    if (std::any_of(ops.begin(), ops.end(), [](const Op& op) { return is_pass(op.kind); }))
      continue;
    ++relays;
    Plan plan = right;
    std::vector<Op*> sends;
    std::vector<OpId> receives;
    for (std::size_t op = 0; op < ops.size(); ++op) {
      const LaneKind lane = right.programs[p].lanes[ops[op].lane.index()].kind;
      if (lane == LaneKind::receive_forward) receives.emplace_back(op);
      if (lane == LaneKind::send_forward) sends.push_back(&plan.programs[p].ops[op]);
    }
    ASSERT_EQ(sends.size(), 2u);
    std::swap(sends[0]->operands, sends[1]->operands);
    sends[0]->after = sends[1]->after = receives;
    EXPECT_THAT(errors_of(plan), HasSubstr("it belongs to micro-batch 1")) << p;
  }
  EXPECT_GT(relays, 0);
}

// The first stage sends its second micro-batch before the first, the second stage takes the first
// one first: with rendezvous messages neither goes. Every waiting op is named.
TEST(Verify, ExplainsADeadlock) {
  Plan plan = *testing::plan_of({"", testing::pipeline("1f1b", 2, 2), testing::resnet20(), 2});
  RankProgram& first = plan.programs[0];
  std::vector<std::size_t> sends;
  for (std::size_t op = 0; op < first.ops.size(); ++op) {
    if (first.ops[op].kind == OpKind::send) sends.push_back(op);
  }
  ASSERT_EQ(sends.size(), 2u);
  testing::move_behind(first, sends[0], sends[1]);
  const std::string errors = errors_of(plan);
  EXPECT_THAT(errors,
              HasSubstr("deadlock: it waits for rank 1, which has not issued the other end"));
  EXPECT_THAT(errors,
              HasSubstr("deadlock: it waits for rank 0, which has not issued the other end"));
}

TEST(Verify, PointsIntoThePlansText) {
  std::string text = print(*testing::plan_of({"", testing::data_parallel(), testing::mlp(), 2}));
  const std::size_t at = text.find("divisor=2");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 9, "divisor=3");
  const Result<ParsedPlan> parsed = parse_plan(text, "plan.txt");
  ASSERT_TRUE(parsed.ok());
  const Status status = verify(parsed->plan, &parsed->places);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(format(status.errors()), HasSubstr("plan.txt:"));
  EXPECT_THAT(format(status.errors()),
              HasSubstr("it divides by 3, but 2 replicas add to these gradients"));
}

// ---- what nobody holds -------------------------------------------------------------------------

// Where something is parked: program and class.
std::pair<RankProgram*, ParameterClassId> find_parked(Plan& plan) {
  for (RankProgram& program : plan.programs) {
    for (std::size_t c = 0; c < program.parameter_classes.size(); ++c) {
      if (is_parked(program.parameter_classes[c])) return {&program, ParameterClassId(c)};
    }
  }
  ADD_FAILURE() << "nothing is parked";
  return {&plan.programs.front(), ParameterClassId(0)};
}
Buffer& find_buffer(RankProgram& program, ParameterClassId c, BufferKind kind) {
  for (Buffer& buffer : program.buffers) {
    if (buffer.parameter_class == c && buffer.kind == kind) return buffer;
  }
  ADD_FAILURE() << "no " << to_string(kind);
  return program.buffers.front();
}

// A class of another program, with its weights, parked here.
void park_here(RankProgram& here, const ParameterClass& other, std::int64_t element_bytes) {
  ParameterClass parked = other;
  parked.is_held = false;
  parked.holders = 0;
  parked.group.reset();
  here.buffers.push_back({.kind = BufferKind::parameters,
                          .size = Bytes::bytes(other.elements * element_bytes),
                          .parameter_class = ParameterClassId(here.parameter_classes.size())});
  here.parameter_classes.push_back(parked);
}

TEST(Verify, NamesWhatIsWrongWithWhatIsParked) {
  const StrategySpec strategy = testing::redrawn(
      testing::dealt(AssignmentKind::rolling, {{1, 2}, {1, 3}, {1, 3}, {1, 4}}), 1);
  const auto parked = [](Plan& p) -> ParameterClass& {
    const auto [program, c] = find_parked(p);
    return program->parameter_classes[c.index()];
  };
  // Another program than the one where it is parked.
  const auto elsewhere = [](Plan& p) -> RankProgram& {
    const RankProgram* here = find_parked(p).first;
    return p.programs[here == &p.programs[0] ? 1 : 0];
  };
  const std::vector<Damage> cases = {
      {"twice", strategy, [&](Plan& p) { park_here(elsewhere(p), parked(p), 4); },
       "is parked here and on rank"},
      {"twice on one rank", strategy,
       [&](Plan& p) { park_here(*find_parked(p).first, parked(p), 4); }, "is in classes"},
      {"nowhere", strategy,
       [&](Plan& p) {
         const auto [program, c] = find_parked(p);
         find_buffer(*program, c, BufferKind::optimizer_state).size = Bytes{};
         find_buffer(*program, c, BufferKind::parameters).size = Bytes{};
         parked(p).parameters.clear();
         parked(p).elements = 0;
       },
       "is lost: nobody holds it, and it is parked nowhere"},
      {"held elsewhere", strategy,
       [&](Plan& p) {
         RankProgram& first = p.programs[0];
         const auto of_unit = [&](const ParameterClass& own) {
           return own.is_held && own.holders < 4 && !is_parked(own);
         };
         const auto own =
             std::find_if(first.parameter_classes.begin(), first.parameter_classes.end(), of_unit);
         ASSERT_NE(own, first.parameter_classes.end());
         const auto without = std::find_if(p.programs.begin(), p.programs.end(), [&](auto& it) {
           return std::none_of(
               it.parameter_classes.begin(), it.parameter_classes.end(),
               [&](const auto& other) { return other.parameters == own->parameters; });
         });
         ASSERT_NE(without, p.programs.end());
         park_here(*without, *own, 4);
       },
       "is parked here, and held"},
      {"used", strategy,
       [&](Plan& p) {
         const auto [program, c] = find_parked(p);
         const auto weights = &find_buffer(*program, c, BufferKind::parameters);
         program->ops[find_op(*program, OpKind::forward).index()].operands.push_back(
             {BufferId(static_cast<std::size_t>(weights - program->buffers.data())), Access::read});
       },
       ", which is parked"},
      {"its unit is held", strategy,
       [&](Plan& p) {
         const auto [program, c] = find_parked(p);
         const Net net = *whole_net(p);
         const auto first = program->parameter_classes[c.index()].parameters.front();
         program->subnetwork.holds[net.parameters[first.index()].unit->index()] = true;
       },
       "is used here, but parked"},
      {"everybody's", strategy,
       [&](Plan& p) {
         const Net net = *whole_net(p);
         for (ParameterClass& own : p.programs[0].parameter_classes) {
           if (net.parameters[own.parameters.front().index()].unit) continue;
           own.is_held = false;
           own.group.reset();
           own.holders = 0;
         }
       },
       "which is parked"},
      {"with holders", strategy, [&](Plan& p) { parked(p).holders = 1; },
       "is parked, but has 1 holders"},
      {"in a group", strategy, [&](Plan& p) { parked(p).group = 0; },
       "is parked, but has holders' group or shards"},
      {"with readers", strategy, [&](Plan& p) { parked(p).readers = 0; },
       "has readers, but what is not held is absent"},
      {"where all read it", strategy, [](Plan& p) { p.masking = Masking::backward; },
       "is only read, but has no readers"},
      {"with gradients", strategy,
       [&](Plan& p) {
         const auto [program, c] = find_parked(p);
         find_buffer(*program, c, BufferKind::optimizer_state).kind = BufferKind::gradients;
       },
       "which is parked"},
      {"in part", strategy,
       [&](Plan& p) {
         const auto [program, c] = find_parked(p);
         find_buffer(*program, c, BufferKind::parameters).size -= Bytes::bytes(4);
       },
       "all of its weights are kept once"},
      {"with a part of its state", strategy,
       [&](Plan& p) {
         const auto [program, c] = find_parked(p);
         find_buffer(*program, c, BufferKind::optimizer_state).size -= Bytes::bytes(4);
       },
       "all of its weights are kept once"},
      {"without weights", strategy,
       [&](Plan& p) {
         const auto [program, c] = find_parked(p);
         find_buffer(*program, c, BufferKind::parameters).kind = BufferKind::optimizer_state;
       },
       "all of its weights are kept once"},
  };
  for (const Damage& c : cases) {
    Plan plan = good(c.strategy);
    EXPECT_EQ(errors_of(plan), "") << c.name;
    c.damage(plan);
    EXPECT_THAT(errors_of(plan), HasSubstr(c.expected)) << c.name;
  }
}

// ---- clipped gradients -------------------------------------------------------------------------

Plan clipped(const testing::PlanCase& c) {
  return *testing::plan_of(c, 256, Reduction::fast, 1.0);
}

TEST(Verify, AcceptsClippedGradients) {
  for (const auto& c : testing::all_cases()) {
    const Plan plan = clipped(c);
    EXPECT_EQ(errors_of(plan), "") << c.name;
    const auto again = parse_plan(print(plan), "plan");
    ASSERT_TRUE(again.ok()) << c.name << format(again.errors());
    EXPECT_EQ(print(again->plan), print(plan)) << c.name;
  }
}

TEST(Verify, NamesWhatIsWrongWithLocalSteps) {
  const StrategySpec ddp = testing::data_parallel();
  const StrategySpec mean = testing::local(ddp, 4);
  const StrategySpec diloco = testing::local(ddp, 4, OuterOptimizer{});
  const auto find = [](RankProgram& program, OpKind kind) -> Op& {
    return program.ops[find_op(program, kind).index()];
  };
  const auto drop = [](RankProgram& program, OpKind kind) {
    testing::drop_op(program, find_op(program, kind).index());
  };
  const std::vector<Damage> cases = {
      {"no local steps", mean, [](Plan& p) { p.local_steps = 1; },
       "class 0 has 1 outer gradients and 1 outer steps, not 0 each"},
      {"no synchronisation", mean, [](Plan& p) { p.synchronises = false; },
       "its class is not all-reduced"},
      {"gradients exchanged", ddp, [](Plan& p) { p.local_steps = 2; },
       "class 0 has 0 outer gradients and 0 outer steps, not 1 each"},
      {"an outer optimizer alone", ddp, [](Plan& p) { p.outer.emplace(); },
       "an outer optimizer, but no local steps"},
      {"exact", mean, [](Plan& p) { p.training.reduction = Reduction::exact; },
       "where steps are local, sums over the batch cannot be exact"},
      {"backward masking", mean, [](Plan& p) { p.masking = Masking::backward; },
       "under backward masking readers need new weights in every step"},
      {"over all", mean, [](Plan& p) { p.averaging = Averaging::all; },
       "weights are averaged over their holders, not over all"},
      {"rounded weights", mean, [](Plan& p) { p.training.dtype = DataType::bf16; },
       "an average of weights as long as gradients would lose their master copy's precision"},
      {"sharded", mean,
       [](Plan& p) {
         ParameterClass& held = p.programs[0].parameter_classes[0];
         held.sharding = Sharding::optimizer_state;
         held.buckets = {held.elements};
       },
       "class 0 is sharded: shards need the gradients of every step"},
      {"not averaged", mean, [&](Plan& p) { drop(p.programs[0], OpKind::all_reduce); },
       "elements are reduced up to 0 before it"},
      {"averaged over others", mean,
       [&](Plan& p) {
         std::get<Collective>(find(p.programs[0], OpKind::all_reduce).detail).divisor = 2;
       },
       "it divides by 2, but 4 replicas add to these gradients"},
      {"no outer gradient", diloco, [&](Plan& p) { drop(p.programs[0], OpKind::outer_gradient); },
       "class 0 has 0 outer gradients and 1 outer steps, not 1 each"},
      {"no outer step", diloco, [&](Plan& p) { drop(p.programs[0], OpKind::outer_step); },
       "class 0 has 1 outer gradients and 0 outer steps, not 1 each"},
      {"averaged too early", diloco,
       [&](Plan& p) { find(p.programs[0], OpKind::all_reduce).after.clear(); },
       "it averages an outer gradient without waiting for it"},
      {"moved too early", diloco,
       [&](Plan& p) { find(p.programs[0], OpKind::outer_step).after.clear(); },
       "it does not wait for the average of its outer gradient"},
      {"taken too early", diloco,
       [&](Plan& p) {
         RankProgram& program = p.programs[0];
         testing::swap_ops(program, find_op(program, OpKind::optimizer_step).index(),
                           find_op(program, OpKind::outer_gradient).index());
         find(program, OpKind::outer_gradient).after.clear();
       },
       "it takes weights without waiting for their update"},
      {"without an anchor", diloco, [](Plan& p) { p.outer.reset(); }, "it has no reason to"},
      {"a smaller anchor", diloco, [](Plan& p) { p.outer->momentum = 0; }, "bytes, its content"},
      {"on another lane", diloco,
       [&](Plan& p) {
         find(p.programs[0], OpKind::outer_step).lane =
             find(p.programs[0], OpKind::all_reduce).lane;
       },
       "(collective)"},
  };
  for (const Damage& c : cases) {
    Plan plan = good(c.strategy);
    ASSERT_EQ(errors_of(plan), "") << c.name;
    c.damage(plan);
    EXPECT_THAT(errors_of(plan), HasSubstr(c.expected)) << c.name;
  }
}

// The all-reduce of the squares: it stands behind those of the gradients.
OpId sum_of_squares(const RankProgram& program) {
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (is_of_squares(program, program.ops[op])) return OpId(op);
  }
  ADD_FAILURE() << "no sum of squares";
  return OpId(0);
}

TEST(Verify, NamesWhatIsWrongWithANorm) {
  const StrategySpec ddp = testing::data_parallel();
  const auto own = [](RankProgram& it) -> Op& {
    return it.ops[find_op(it, OpKind::sum_squares).index()];
  };
  const auto sum = [](RankProgram& it) -> Op& { return it.ops[sum_of_squares(it).index()]; };
  const std::vector<Damage> cases = {
      {"not squared", ddp,
       [](Plan& p) {
         testing::drop_op(p.programs[0], find_op(p.programs[0], OpKind::sum_squares).index());
       },
       "squares of gradients are summed 0 times, not 1"},
      {"not added up", ddp,
       [](Plan& p) { testing::drop_op(p.programs[0], sum_of_squares(p.programs[0]).index()); },
       "sums of squares are added up over ranks 0 times, not 1"},
      {"not clipped", ddp, [](Plan& p) { p.training.optimizer.clip.reset(); },
       "squares of gradients are summed 1 times, not 0"},
      {"before a reduction", ddp, [&](Plan& p) { own(p.programs[0]).after.clear(); },
       "it squares gradients without waiting for them"},
      {"before its own squares", ddp, [&](Plan& p) { sum(p.programs[0]).after.clear(); },
       "it adds up squares without waiting for its own"},
      {"after the update", ddp, [&](Plan& p) { find_update(p.programs[0]).after.clear(); },
       "it does not wait for the norm of the gradients"},
      {"over a part of the ranks", ddp,
       [&](Plan& p) {
         const std::size_t slot = collective_of(sum(p.programs[0])).group;
         const GroupId all = p.ranks[0].groups[slot], half(p.groups.size());
         p.groups[all.index()].members = {RankId(0), RankId(1)};
         p.groups.push_back({{RankId(2), RankId(3)}});
         p.ranks[2].groups[slot] = p.ranks[3].groups[slot] = half;
       },
       "it adds up squares over 2 of 4 ranks"},
      {"divided", ddp,
       [&](Plan& p) { std::get<Collective>(sum(p.programs[0]).detail).divisor = 4; },
       "it divides a sum of squares"},
      {"scattered", ddp, [&](Plan& p) { sum(p.programs[0]).kind = OpKind::reduce_scatter; },
       "only an all-reduce is of squares, or by doubling"},
      {"not read", ddp, [&](Plan& p) { find_update(p.programs[0]).operands.pop_back(); },
       "is not freed by its last user"},
  };
  for (const Damage& c : cases) {
    Plan plan = clipped({"", c.strategy, testing::resnet20(), 4});
    c.damage(plan);
    EXPECT_THAT(errors_of(plan), HasSubstr(c.expected)) << c.name;
  }
}

// A norm is that of a replica's gradients: with others it would be another one.
TEST(Verify, NamesANormOfSeveralReplicas) {
  const StrategySpec pipes = testing::local(testing::pipeline("1f1b", 2, 2), 4);
  Plan plan = clipped({"", pipes, testing::resnet20(), 4});
  ASSERT_EQ(errors_of(plan), "");
  const auto norm_group = [&](std::size_t rank) -> Group& {
    const Op& sum =
        program_of(plan, RankId(rank)).ops[sum_of_squares(program_of(plan, RankId(rank))).index()];
    return plan.groups[plan.ranks[rank].groups[collective_of(sum).group].index()];
  };
  EXPECT_EQ(norm_group(0).members, (std::vector<RankId>{RankId(0), RankId(1)}));
  EXPECT_EQ(norm_group(2).members, (std::vector<RankId>{RankId(2), RankId(3)}));
  norm_group(0).members = {RankId(0), RankId(3)};
  norm_group(2).members = {RankId(2), RankId(1)};
  std::swap(plan.ranks[1].groups, plan.ranks[3].groups);
  EXPECT_THAT(errors_of(plan), HasSubstr("it adds up squares with rank 3, of another replica"));
}

}  // namespace
}  // namespace rehearse
