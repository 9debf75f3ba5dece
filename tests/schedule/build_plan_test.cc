#include "model/schedule/build_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "model/plan/happens_before.h"
#include "model/plan/own_net.h"
#include "model/plan/plan_text.h"
#include "model/plan/verify.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

Plan plan_of(const StrategySpec& strategy, std::int64_t devices = 4) {
  return *testing::plan_of({"", strategy, testing::resnet20(), devices});
}

std::vector<std::size_t> ops_of(const RankProgram& program, OpKind kind) {
  std::vector<std::size_t> ops;
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (program.ops[op].kind == kind) ops.push_back(op);
  }
  return ops;
}

// 272,186 gradients of 4 bytes are 1.09 MB: four buckets of 256 KiB or more and a rest. At least
// three are issued before the last backward op, so that they overlap it.
TEST(BuildPlan, BucketsOverlapBackward) {
  const Plan plan = plan_of(testing::data_parallel());
  ASSERT_EQ(plan.programs.size(), 1u);
  const RankProgram& program = plan.programs[0];
  const std::size_t last_backward = ops_of(program, OpKind::backward).back();
  std::size_t early = 0;
  for (const std::size_t reduce : ops_of(program, OpKind::all_reduce)) {
    const bool waits =
        std::any_of(program.ops[reduce].after.begin(), program.ops[reduce].after.end(),
                    [&](OpId op) { return op.index() >= last_backward; });
    if (reduce < last_backward && !waits) ++early;
  }
  EXPECT_GE(early, 3u);
}

// Coverage 1 is data parallelism: the same programs, groups and order.
TEST(BuildPlan, WholeSubnetworksAreDataParallel) {
  Plan whole = plan_of(testing::subnetwork({1, 1}));
  const Plan ddp = plan_of(testing::data_parallel());
  whole.strategy = ddp.strategy;
  whole.mesh = ddp.mesh;
  EXPECT_EQ(print(whole), print(ddp));
}

// ... and so is a share of all units for everybody.
TEST(BuildPlan, SharesOfAllUnitsAreDataParallel) {
  const Plan ddp = plan_of(testing::data_parallel());
  for (const AssignmentKind kind :
       {AssignmentKind::nested, AssignmentKind::random, AssignmentKind::rolling}) {
    for (const Construction construction : {Construction::block, Construction::width}) {
      StrategySpec strategy = testing::dealt(kind, std::vector<Fraction>(4));
      strategy.subnetwork->construction = construction;
      strategy.subnetwork->scaling = Scaling::in_training;
      Plan whole = plan_of(strategy);
      whole.strategy = ddp.strategy;
      whole.mesh = ddp.mesh;
      EXPECT_EQ(print(whole), print(ddp));
    }
  }
}

// Everybody's share of the units is scaled by what it lacks; the plan's is that of nobody then. At
// test it is the mean share.
TEST(BuildPlan, ScalesBranchesByTheirWorkersShare) {
  StrategySpec strategy =
      testing::by_width(testing::dealt(AssignmentKind::nested, {{1, 1}, {1, 2}, {1, 2}, {1, 4}}));
  strategy.subnetwork->scaling = Scaling::in_training;
  const Plan plan = plan_of(strategy);
  const Net full = *whole_net(plan);
  EXPECT_EQ(plan.branch_scale_at_test, 1);
  EXPECT_EQ(plan.branch_scale_in_training, 1);
  const double expected[] = {1, 2, 2, 4};
  for (std::size_t r = 0; r < 4; ++r) {
    const RankProgram& program = program_of(plan, RankId(r));
    EXPECT_EQ(program.branch_scale_in_training, expected[r]);
    std::size_t sums = 0;
    const Net net = net_of(plan, full, program);
    // Who holds everything, unscaled, runs the network itself.
    EXPECT_EQ(&*OwnNet(plan, full, program) == &full, r == 0);
    for (const Layer& layer : net.layers) {
      if (const auto* sum = std::get_if<Sum>(&layer.spec)) {
        EXPECT_EQ(sum->scale, expected[r]);
        ++sums;
      }
    }
    EXPECT_EQ(sums, 9u) << "one for each width";
  }
  strategy.subnetwork->scaling = Scaling::at_test;
  EXPECT_EQ(plan_of(strategy).branch_scale_at_test, 2.25 / 4);
  EXPECT_EQ(plan_of(strategy).programs[1].branch_scale_in_training, std::nullopt);
  // 0.3 of 4 units are 2: the scale is that of what is held.
  strategy.subnetwork->coverages.assign(4, {3, 10});
  EXPECT_EQ(plan_of(strategy).branch_scale_at_test, 0.5);
  strategy.subnetwork->scaling = Scaling::in_training;
  EXPECT_EQ(plan_of(strategy).branch_scale_in_training, 2) << "all alike: it is the plan's";
  EXPECT_EQ(plan_of(strategy).programs[0].branch_scale_in_training, std::nullopt);
}

// Of 9 blocks 5 are held by the first and 3 by the second worker: 4 are parked, whole, on one
// replica each, with the optimizer's state only where somebody may hold them later.
TEST(BuildPlan, ParksWhatNobodyHolds) {
  StrategySpec strategy = testing::dealt(AssignmentKind::nested, {{1, 2}, {1, 3}});
  strategy.data = 2;
  for (const bool redraws : {false, true}) {
    if (redraws) strategy.subnetwork->assignment = AssignmentKind::rolling;
    const Plan plan = plan_of(redraws ? testing::redrawn(strategy, 1) : strategy, 4);
    const Status good = verify(plan);
    EXPECT_TRUE(good.ok()) << format(good.errors());
    const Net net = *whole_net(plan);
    std::set<UnitId> parked;
    for (std::size_t r = 0; r < 4; ++r) {
      const RankProgram& program = program_of(plan, RankId(r));
      for (std::size_t c = 0; c < program.parameter_classes.size(); ++c) {
        const ParameterClass& own = program.parameter_classes[c];
        if (!is_parked(own)) continue;
        EXPECT_EQ(own.holders, 0);
        for (const ParameterId id : own.parameters)
          parked.insert(*net.parameters[id.index()].unit);
        std::map<BufferKind, Bytes> buffers;
        for (const Buffer& buffer : program.buffers) {
          if (buffer.parameter_class == ParameterClassId(c)) buffers[buffer.kind] = buffer.size;
        }
        const Bytes fp32 = Bytes::bytes(4 * own.elements);
        std::map<BufferKind, Bytes> expected = {{BufferKind::parameters, fp32}};
        if (redraws) expected[BufferKind::optimizer_state] = fp32;
        EXPECT_EQ(buffers, expected);
      }
    }
    EXPECT_EQ(parked.size(), 4u);
    std::set<std::string> names;
    for (const RankProgram& program : plan.programs)
      EXPECT_TRUE(names.insert(program.name).second) << program.name;
  }
}

// Moments that start from 0 with every draw are not parked; master copies are, with them.
TEST(BuildPlan, ParksTheStateThatIsNeeded) {
  const auto parks_state = [](Moments moments, DataType dtype) {
    StrategySpec strategy =
        testing::redrawn(testing::dealt(AssignmentKind::rolling, {{1, 2}, {1, 3}}), 1);
    strategy.subnetwork->moments = moments;
    Training training = testing::training();
    training.dtype = dtype;
    const Plan plan = *build_plan(strategy, testing::resnet20(), training, 2, even_costs(11));
    std::set<bool> parks;
    for (const RankProgram& program : plan.programs) {
      for (std::size_t c = 0; c < program.parameter_classes.size(); ++c) {
        if (!is_parked(program.parameter_classes[c])) continue;
        parks.insert(
            std::any_of(program.buffers.begin(), program.buffers.end(), [&](const Buffer& buffer) {
              return buffer.kind == BufferKind::optimizer_state &&
                     buffer.parameter_class == ParameterClassId(c);
            }));
      }
    }
    EXPECT_EQ(parks.size(), 1u);
    return *parks.begin();
  };
  EXPECT_TRUE(parks_state(Moments::keep, DataType::fp32));
  EXPECT_TRUE(parks_state(Moments::keep, DataType::bf16));
  EXPECT_FALSE(parks_state(Moments::reset, DataType::fp32));
  EXPECT_TRUE(parks_state(Moments::reset, DataType::bf16));
}

// What a lost worker held alone, or kept for all, is lost.
TEST(BuildPlan, CannotGoOnWithoutWhatIsParked) {
  const auto message = [](std::int64_t lost) {
    StrategySpec strategy = testing::dealt(AssignmentKind::nested, {{1, 2}, {1, 9}, {1, 3}});
    strategy.subnetwork->lost = {lost};
    const auto plan = testing::plan_of({"", strategy, testing::resnet20(), 3}, 255);
    return plan ? "" : plan.errors().front().message;
  };
  EXPECT_NE(message(0).find("' is lost with its holder: the others cannot go on"),
            std::string::npos)
      << message(0);
  EXPECT_NE(message(1).find("' is lost with worker 1, where it was parked: the others cannot"),
            std::string::npos)
      << message(1);
  // With the others there: worker 2 holds nothing alone and keeps nothing.
  StrategySpec strategy = testing::dealt(AssignmentKind::nested, {{1, 1}, {1, 9}, {1, 3}});
  strategy.subnetwork->lost = {2};
  const auto left = testing::plan_of({"", strategy, testing::resnet20(), 3}, 255);
  ASSERT_TRUE(left.ok()) << format(left.errors());
  EXPECT_TRUE(verify(*left).ok());
}

// The others hold what they held, and divide by those that are left: a unit's holders, all workers
// for what is everybody's. Their part of the batch is that of three of four.
TEST(BuildPlan, GoesOnWithoutALostWorker) {
  StrategySpec strategy = testing::subnetwork({1, 2});
  const Plan before = plan_of(strategy);
  strategy.subnetwork->lost = {1};
  const Plan after = plan_of(strategy, 4);
  const Status good = verify(after);
  EXPECT_TRUE(good.ok()) << format(good.errors());
  ASSERT_EQ(after.ranks.size(), 3u);
  EXPECT_EQ(after.mesh.workers, 3);
  EXPECT_EQ(after.training.batch, before.training.batch / 4 * 3);
  EXPECT_EQ(after.branch_scale_at_test, before.branch_scale_at_test);
  const std::size_t left[] = {0, 2, 3};
  for (std::size_t r = 0; r < 3; ++r) {
    const RankProgram& program = program_of(after, RankId(r));
    EXPECT_EQ(program.name, program_of(before, RankId(left[r])).name);
    EXPECT_EQ(program.subnetwork, program_of(before, RankId(left[r])).subnetwork);
    for (const Op& op : program.ops) {
      if (op.kind != OpKind::all_reduce) continue;
      const std::size_t members = group_of(after, RankId(r), op).members.size();
      EXPECT_EQ(collective_of(op).divisor, static_cast<std::int64_t>(members));
    }
  }
}

TEST(BuildPlan, CannotGoOnWithoutAUnit) {
  const auto message = [](std::vector<std::int64_t> lost) {
    StrategySpec strategy = testing::subnetwork({1, 4});
    strategy.subnetwork->lost = std::move(lost);
    const auto plan = testing::plan_of({"", strategy, testing::resnet20(), 4});
    return plan ? "" : plan.errors().front().message;
  };
  EXPECT_NE(message({0}).find("' is lost with its holder: the others cannot go on"),
            std::string::npos)
      << message({0});
  EXPECT_EQ(message({4}), "there is no worker 4 to lose: the 4 of them count from 0");
  EXPECT_EQ(message({0, 1, 2, 3}), "all workers are lost");
}

// With c = 1 every unit belongs to one worker: only what all hold is reduced.
TEST(BuildPlan, UnitsHeldAloneAreNotReduced) {
  const Plan plan = plan_of(testing::subnetwork({1, 4}));
  for (const RankProgram& program : plan.programs) {
    ASSERT_EQ(program.parameter_classes.size(), 2u);
    const auto alone =
        std::count_if(program.parameter_classes.begin(), program.parameter_classes.end(),
                      [](const ParameterClass& c) { return !c.group; });
    EXPECT_EQ(alone, 1);
  }
  EXPECT_EQ(plan.groups.size(), 1u);
}

TEST(BuildPlan, ScalesBranchesOnce) {
  StrategySpec strategy = testing::subnetwork({1, 2});
  EXPECT_EQ(plan_of(strategy).branch_scale_at_test, 0.5);
  EXPECT_EQ(plan_of(strategy).branch_scale_in_training, 1);
  strategy.subnetwork->scaling = Scaling::in_training;
  EXPECT_EQ(plan_of(strategy).branch_scale_at_test, 1);
  EXPECT_EQ(plan_of(strategy).branch_scale_in_training, 2);
  strategy.subnetwork->scaling = Scaling::none;
  EXPECT_EQ(plan_of(strategy).branch_scale_at_test, 1);
  EXPECT_EQ(plan_of(strategy).branch_scale_in_training, 1);
}

// Replicas of a pipeline run one program per stage; its ranks differ only in peers and groups.
TEST(BuildPlan, RanksOfAClassShareItsProgram) {
  const Plan plan = plan_of(testing::pipeline("1f1b", 2, 4), 8);
  EXPECT_EQ(plan.programs.size(), 2u);
  EXPECT_EQ(plan.ranks.size(), 8u);
  EXPECT_EQ(plan.ranks[5].peers, (std::vector<RankId>{RankId(4)}));
  EXPECT_EQ(plan.ranks[5].first_micro_batch, 8);
}

// ---- local steps -------------------------------------------------------------------------------

// Between synchronisations replicas have nothing to do with one another; the plan of the last step
// is the same but for what comes after the updates.
TEST(BuildPlan, LocalStepsExchangeNothing) {
  for (const auto& outer : {std::optional<OuterOptimizer>(), std::optional(OuterOptimizer{})}) {
    const Plan between = plan_of(testing::local(testing::data_parallel(), 8, outer, false));
    const Plan last = plan_of(testing::local(testing::data_parallel(), 8, outer));
    const RankProgram& program = between.programs[0];
    for (const Op& op : program.ops)
      EXPECT_FALSE(is_communication(op.kind)) << to_string(op.kind);
    for (const OpKind kind : {OpKind::outer_gradient, OpKind::outer_step})
      EXPECT_TRUE(ops_of(program, kind).empty());
    // Backward is cut nowhere: no bucket becomes complete in it.
    EXPECT_EQ(ops_of(program, OpKind::backward).size(), 1u);
    const auto& ops = last.programs[0].ops;
    ASSERT_GT(ops.size(), program.ops.size());
    for (std::size_t op = 0; op < program.ops.size(); ++op)
      EXPECT_EQ(ops[op].kind, program.ops[op].kind);
    EXPECT_EQ(ops[program.ops.size()].kind, OpKind::outer_gradient);
    EXPECT_EQ(ops.back().kind, OpKind::outer_step);
  }
}

// What lasts is in both plans of a period, and only an outer optimizer adds to it.
TEST(BuildPlan, BothPlansOfAPeriodKeepTheSame) {
  const auto kept = [](const Plan& plan) {
    std::vector<std::pair<BufferKind, Bytes>> kept;
    for (const Buffer& buffer : plan.programs[0].buffers) {
      if (is_persistent(buffer.kind)) kept.emplace_back(buffer.kind, buffer.size);
    }
    return kept;
  };
  const StrategySpec ddp = testing::data_parallel();
  for (const auto& outer : {std::optional<OuterOptimizer>(), std::optional(OuterOptimizer{})})
    EXPECT_EQ(kept(plan_of(testing::local(ddp, 8, outer, false))),
              kept(plan_of(testing::local(ddp, 8, outer))));
  EXPECT_EQ(kept(plan_of(testing::local(ddp, 8))), kept(plan_of(ddp)));
  auto with_anchor = kept(plan_of(ddp));
  // Anchor and momentum: twice the weights.
  with_anchor.emplace_back(BufferKind::outer_state, 2 * with_anchor[0].second);
  EXPECT_EQ(kept(plan_of(testing::local(ddp, 8, OuterOptimizer{}))), with_anchor);
}

// Two classes: while the first one's average is under way the second is updated, and no average
// waits for an outer step.
TEST(BuildPlan, AveragesOverlapUpdates) {
  const Plan plan = plan_of(testing::local(testing::subnetwork({1, 2}), 8, OuterOptimizer{}));
  for (const RankProgram& program : plan.programs) {
    const std::size_t first_average = ops_of(program, OpKind::all_reduce).front();
    const auto updates = ops_of(program, OpKind::optimizer_step);
    ASSERT_GT(updates.size(), 1u);
    const auto& after = program.ops[first_average].after;
    EXPECT_TRUE(
        std::all_of(after.begin(), after.end(), [&](OpId op) { return op.index() < updates[1]; }));
    EXPECT_LT(updates.back(), ops_of(program, OpKind::outer_step).front());
    for (const std::size_t average : ops_of(program, OpKind::all_reduce)) {
      for (const OpId op : program.ops[average].after)
        EXPECT_NE(program.ops[op.index()].kind, OpKind::outer_step);
    }
  }
}

TEST(BuildPlan, SaysWhichLocalStepsAreImpossible) {
  const auto problem = [](const StrategySpec& strategy, std::int64_t devices = 4,
                          const ModelSpec& model = testing::resnet20(),
                          Training training = testing::training()) {
    const auto plan =
        build_plan(strategy, model, training, devices, even_costs(build_net(model)->blocks.size()));
    return plan.ok() ? "" : plan.errors().front().message.substr(0, 40);
  };
  const StrategySpec ddp = testing::data_parallel();
  EXPECT_EQ(problem(testing::local(ddp, 8)), "");
  EXPECT_EQ(problem(testing::local(ddp, 1, OuterOptimizer{})),
            "an outer optimizer moves what several lo");
  EXPECT_EQ(problem(testing::local(testing::accumulation(2), 8), 1),
            "there is one replica: it has nobody to c");
  StrategySpec zero = ddp;
  zero.sharding = Sharding::optimizer_state;
  EXPECT_EQ(problem(testing::local(zero, 8)), "ZeRO's shards need the gradients of ever");
  const StrategySpec backward = testing::masked_backward(testing::subnetwork({1, 2}));
  EXPECT_EQ(problem(testing::local(backward, 8)), "under backward masking those who only re");
  EXPECT_EQ(problem(testing::local(testing::masked_backward(testing::subnetwork({1, 1})), 8)), "");
  StrategySpec over_all = testing::subnetwork({1, 2});
  over_all.subnetwork->averaging = Averaging::all;
  EXPECT_EQ(problem(testing::local(over_all, 8)), "with local steps weights are averaged, o");
  StrategySpec redrawn = testing::subnetwork({1, 2});
  redrawn.subnetwork->redraw = 12;
  EXPECT_EQ(problem(testing::local(redrawn, 8)), "holders' copies differ between synchroni");
  EXPECT_EQ(problem(testing::local(redrawn, 6)), "");
  Training exact = testing::training(), rounded = testing::training();
  exact.reduction = Reduction::exact;
  rounded.dtype = DataType::bf16;
  EXPECT_EQ(problem(testing::local(ddp, 8), 4, testing::resnet20(), exact),
            "with local steps nobody adds up the grad");
  EXPECT_EQ(problem(testing::local(ddp, 8), 4, testing::resnet20(), rounded),
            "weights averaged in bf16 would lose the ");
  EXPECT_EQ(problem(testing::local(ddp, 8, OuterOptimizer{1, 0}), 4, testing::resnet20(), rounded),
            "");
}

// What ranks of one replica have terms of is summed in every step, so it must not reach beyond it.
TEST(BuildPlan, LocalStepsNeedReplicasThatKeepToThemselves) {
  const ModelSpec tied = {"gpt",
                          {{"layers", {4}},
                           {"width", {32}},
                           {"heads", {4}},
                           {"vocabulary", {96}},
                           {"sequence", {16}},
                           {"positions", {16}}}};
  const auto problem = [&](StrategySpec strategy) {
    const auto plan = testing::plan_of({"", testing::local(strategy, 4), tied, 4});
    if (plan) {
      EXPECT_TRUE(verify(*plan).ok());
      return std::string();
    }
    return plan.errors().front().message.substr(0, 40);
  };
  EXPECT_EQ(problem(testing::pipeline("1f1b", 2, 2)), "embedding.token.weight is used by the fi");
  // In a V both ends stand on one rank.
  EXPECT_EQ(problem(testing::pipeline("zb-v", 2, 4)), "");
  StrategySpec tensor = testing::data_parallel();
  tensor.tensor = TensorSpec{2, false};
  EXPECT_EQ(problem(tensor), "");
  tensor.tensor = TensorSpec{2, true};
  EXPECT_EQ(problem(tensor), "sequence-parallel ranks add up the gradi");
}

// What a middle stage receives and sends per micro-batch is one activation and one gradient.
TEST(BuildPlan, StagesExchangeBoundaries) {
  const Plan plan = plan_of(testing::pipeline("gpipe", 4, 4));
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::size_t neighbours = stage == 0 || stage == 3 ? 1 : 2;
    EXPECT_EQ(ops_of(plan.programs[stage], OpKind::send).size(), 4 * neighbours);
    EXPECT_EQ(ops_of(plan.programs[stage], OpKind::receive).size(), 4 * neighbours);
  }
}

TEST(BuildPlan, SaysWhatIsImpossible) {
  const auto message = [](const StrategySpec& strategy, std::int64_t batch) {
    const auto plan = testing::plan_of({"", strategy, testing::resnet20(), 4}, batch);
    return plan.ok() ? "" : plan.errors().front().message;
  };
  EXPECT_EQ(message(testing::data_parallel(), 255),
            "a batch of 255 does not divide into 4 micro-batches (4 replicas with 1 each): 252 and "
            "256 do");
  EXPECT_EQ(message(testing::pipeline("zigzag", 4, 4), 256),
            "there is no pipeline schedule 'zigzag'");
  EXPECT_EQ(
      message(testing::subnetwork({1, 3}), 256),
      "coverage 1/3 of 4 workers is 1.33333 holders, which must be an integer: 0.25 or 0.5 work");
}

// A class of one holder has no sum that could be divided by all.
TEST(Averaging, OverAllNeedsTwoHoldersThatAreLeft) {
  StrategySpec strategy = testing::subnetwork({1, 2});
  strategy.subnetwork->averaging = Averaging::all;
  EXPECT_TRUE(testing::plan_of({"", strategy, testing::resnet20(), 4}).ok());
  strategy.subnetwork->lost = {1};
  const auto plan = testing::plan_of({"", strategy, testing::resnet20(), 4});
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.errors().front().message.find("is left with one holder"), std::string::npos);
  strategy.subnetwork->averaging = Averaging::holders;
  Plan lonely = *testing::plan_of({"", strategy, testing::resnet20(), 4});
  EXPECT_TRUE(verify(lonely).ok());
  lonely.averaging = Averaging::all;
  const Status good = verify(lonely);
  ASSERT_FALSE(good.ok());
  EXPECT_NE(format(good.errors()).find("divide"), std::string::npos) << format(good.errors());
}

// Who holds it after the next draw goes on with all of it.
TEST(Parked, KeepsWhatBothOptimizersHave) {
  StrategySpec strategy = testing::redrawn(
      testing::dealt(AssignmentKind::rolling, {{1, 2}, {1, 4}, {1, 4}, {1, 4}}), 4);
  strategy = testing::local(strategy, 2, OuterOptimizer{0.7, 0.9});
  const Plan plan = plan_of(strategy);
  const Status good = verify(plan);
  EXPECT_TRUE(good.ok()) << format(good.errors());
  std::int64_t parked = 0;
  for (const RankProgram& program : plan.programs) {
    for (const Buffer& buffer : program.buffers) {
      if (buffer.kind != BufferKind::outer_state) continue;
      const ParameterClass& its = program.parameter_classes[buffer.parameter_class->index()];
      // Anchor and momentum in fp32.
      EXPECT_EQ(buffer.size.bytes(), 8 * its.elements);
      parked += is_parked(its) ? 1 : 0;
    }
  }
  EXPECT_GT(parked, 0);
}

// Everybody holds everything, runs what it has drawn and adds zeros for the rest.
TEST(StochasticDepth, ReplicasHoldAllAndClearWhatTheyDoNotRun) {
  const StrategySpec ddp = testing::data_parallel("depth", Bytes::kib(16));
  std::set<std::vector<bool>> drawn;
  for (std::int64_t draw = 0; draw < 8; ++draw) {
    const Plan plan =
        *testing::plan_of({"", testing::with_depth(ddp, 0.3, draw), testing::resnet20(), 4});
    const Net net = *whole_net(plan);
    EXPECT_TRUE(verify(plan).ok());
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      const RankProgram& program = program_of(plan, RankId(r));
      drawn.insert(program.subnetwork.holds);
      std::int64_t absent = 0, all = 0, cleared = 0, reduced = 0;
      for (const Parameter& parameter : net.parameters) {
        all += parameter.shape.elements();
        if (parameter.unit && !program.subnetwork.holds[parameter.unit->index()])
          absent += parameter.shape.elements();
      }
      for (const Op& op : program.ops) {
        if (op.kind == OpKind::clear) cleared += clear_of(op).end - clear_of(op).begin;
        if (op.kind == OpKind::all_reduce)
          reduced += collective_of(op).end - collective_of(op).begin;
      }
      EXPECT_EQ(cleared, absent);
      EXPECT_EQ(reduced, all);
      ASSERT_EQ(program.parameter_classes.size(), 1u);
      EXPECT_EQ(program.parameter_classes[0].elements, all);
      EXPECT_EQ(program.parameter_classes[0].holders, 4);
    }
  }
  EXPECT_GT(drawn.size(), 16u) << "replicas and draws differ";
}

TEST(StochasticDepth, UnitsRunAsOftenAsTheirProbabilitySays) {
  constexpr double kKeep = 0.4;
  constexpr std::int64_t kDraws = 250;
  const Net net = *build_net(testing::resnet20());
  std::vector<double> runs(net.units.size(), 0);
  for (std::int64_t draw = 0; draw < kDraws; ++draw) {
    const Plan plan = *testing::plan_of(
        {"", testing::with_depth(testing::data_parallel(), kKeep, draw), testing::resnet20(), 4});
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      for (std::size_t u = 0; u < runs.size(); ++u)
        runs[u] += program_of(plan, RankId(r)).subnetwork.holds[u] ? 1.0 / (4 * kDraws) : 0;
    }
  }
  const auto units = static_cast<double>(runs.size());
  for (std::size_t u = 0; u < runs.size(); ++u) {
    const double expected = 1 - static_cast<double>(u + 1) / units * (1 - kKeep);
    // Four standard deviations of 1000 draws.
    EXPECT_NEAR(runs[u], expected, 4 * std::sqrt(expected * (1 - expected) / (4 * kDraws))) << u;
  }
}

TEST(StochasticDepth, ADrawThatDropsNothingIsDataParallelism) {
  const StrategySpec ddp = testing::data_parallel("depth");
  const Plan plain = *testing::plan_of({"", ddp, testing::resnet20(), 4});
  Plan plan = *testing::plan_of(
      {"", testing::with_depth(ddp, 0.3, kNothingDropped), testing::resnet20(), 4});
  const Net net = *whole_net(plan);
  const std::vector<double> scales = branch_scales_at_test(plan, net);
  EXPECT_EQ(scales.size(), 9u);
  EXPECT_NEAR(scales.front(), 1 - 0.7 / 9, 1e-15);
  EXPECT_NEAR(scales.back(), 0.3, 1e-15);
  plan.survival.reset();
  EXPECT_EQ(plan_hash(plan), plan_hash(plain));
}

// Buffers of unreduced gradients that may be in memory, whatever the lanes do, when each begins to
// be filled.
std::size_t most_unreduced(const RankProgram& program) {
  struct Life {
    std::optional<OpId> begin, end;
  };
  std::vector<Life> lives(program.buffers.size());
  for (std::size_t o = 0; o < program.ops.size(); ++o) {
    for (const Operand& operand : program.ops[o].operands) {
      if (program.buffers[operand.buffer.index()].kind != BufferKind::unreduced) continue;
      if (operand.allocates) lives[operand.buffer.index()].begin = OpId(o);
      if (operand.frees) lives[operand.buffer.index()].end = OpId(o);
    }
  }
  const HappensBefore before(program);
  std::size_t most = 0;
  for (const Life& life : lives) {
    if (!life.begin) continue;
    most = std::max(most, static_cast<std::size_t>(
                              std::count_if(lives.begin(), lives.end(), [&](const Life& other) {
                                return other.begin && !before(*other.end, *life.begin) &&
                                       !before(*life.begin, *other.begin);
                              })));
  }
  return most;
}

// Of blocks, where parameters are sharded; or of 8 KiB, of which a pass may begin two.
TEST(ShardedGradients, OneReductionIsUnderWayWhileTheNextBucketsFill) {
  for (const auto& [sharding, most] :
       {std::pair(Sharding::parameters, 2U), std::pair(Sharding::gradients, 3U)}) {
    StrategySpec zero = testing::data_parallel("zero", Bytes::kib(8));
    zero.sharding = sharding;
    zero.micro_batches = 3;
    const auto plan = testing::plan_of({"zero", zero, testing::small_gpt(12), 4}, 24);
    ASSERT_TRUE(plan) << format(plan.errors());
    EXPECT_EQ(most_unreduced(plan->programs.front()), most) << to_string(sharding);
  }
}

// What stages share is reduced between them, when the first one gets to it; nothing that the last
// one needs may wait behind it.
TEST(ShardedGradients, PassesDoNotWaitBehindWhatStagesShare) {
  for (const Sharding sharding : {Sharding::gradients, Sharding::parameters}) {
    StrategySpec pipe = testing::pipeline("1f1b", 2, 4);
    pipe.sharding = sharding;
    ModelSpec gpt = testing::small_gpt(11);
    gpt.fields["tied"] = {1};
    const auto plan = testing::plan_of({"tied", pipe, gpt, 8}, 32);
    ASSERT_TRUE(plan) << format(plan.errors());
    const auto verified = verify(*plan);
    EXPECT_TRUE(verified) << format(verified.errors());
  }
}

}  // namespace
}  // namespace rehearse
