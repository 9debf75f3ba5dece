#include "model/schedule/build_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "model/plan/own_net.h"
#include "model/plan/plan_text.h"
#include "tests/schedule/plans.h"
#include "tests/schedule/resnet_plan.h"

namespace rehearse {
namespace {

// 272,186 gradients of 4 bytes are 1.09 MB: four buckets of 256 KiB or more and a rest. At least
// three are issued before the last backward op, so that they overlap it.
TEST(BuildPlan, BucketsOverlapBackward) {
  const Plan plan = testing::resnet_plan(testing::data_parallel());
  ASSERT_EQ(plan.programs.size(), 1u);
  const RankProgram& program = plan.programs[0];
  const std::size_t last_backward = testing::ops_of(program, OpKind::backward).back();
  std::size_t early = 0;
  for (const std::size_t reduce : testing::ops_of(program, OpKind::all_reduce)) {
    const bool waits =
        std::any_of(program.ops[reduce].after.begin(), program.ops[reduce].after.end(),
                    [&](OpId op) { return op.index() >= last_backward; });
    if (reduce < last_backward && !waits) ++early;
  }
  EXPECT_GE(early, 3u);
}

// Coverage 1 is data parallelism: the same programs, groups and order.
TEST(BuildPlan, WholeSubnetworksAreDataParallel) {
  Plan whole = testing::resnet_plan(testing::subnetwork({1, 1}));
  const Plan ddp = testing::resnet_plan(testing::data_parallel());
  whole.strategy = ddp.strategy;
  whole.mesh = ddp.mesh;
  EXPECT_EQ(print(whole), print(ddp));
}

// ... and so is a share of all units for everybody.
TEST(BuildPlan, SharesOfAllUnitsAreDataParallel) {
  const Plan ddp = testing::resnet_plan(testing::data_parallel());
  for (const AssignmentKind kind :
       {AssignmentKind::nested, AssignmentKind::random, AssignmentKind::rolling}) {
    for (const Construction construction : {Construction::block, Construction::width}) {
      StrategySpec strategy = testing::dealt(kind, std::vector<Fraction>(4));
      strategy.subnetwork->construction = construction;
      strategy.subnetwork->scaling = Scaling::in_training;
      Plan whole = testing::resnet_plan(strategy);
      whole.strategy = ddp.strategy;
      whole.mesh = ddp.mesh;
      EXPECT_EQ(print(whole), print(ddp));
    }
  }
}

// With c = 1 every unit belongs to one worker: only what all hold is reduced.
TEST(BuildPlan, UnitsHeldAloneAreNotReduced) {
  const Plan plan = testing::resnet_plan(testing::subnetwork({1, 4}));
  for (const RankProgram& program : plan.programs) {
    ASSERT_EQ(program.parameter_classes.size(), 2u);
    const auto alone =
        std::count_if(program.parameter_classes.begin(), program.parameter_classes.end(),
                      [](const ParameterClass& c) { return !c.group; });
    EXPECT_EQ(alone, 1);
  }
  EXPECT_EQ(plan.groups.size(), 1u);
}

// Replicas of a pipeline run one program per stage; its ranks differ only in peers and groups.
TEST(BuildPlan, RanksOfAClassShareItsProgram) {
  const Plan plan = testing::resnet_plan(testing::pipeline("1f1b", 2, 4), 8);
  EXPECT_EQ(plan.programs.size(), 2u);
  EXPECT_EQ(plan.ranks.size(), 8u);
  EXPECT_EQ(plan.ranks[5].peers, (std::vector<RankId>{RankId(4)}));
  EXPECT_EQ(plan.ranks[5].first_micro_batch, 8);
}

// What a middle stage receives and sends per micro-batch is one activation and one gradient.
TEST(BuildPlan, StagesExchangeBoundaries) {
  const Plan plan = testing::resnet_plan(testing::pipeline("gpipe", 4, 4));
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::size_t neighbours = stage == 0 || stage == 3 ? 1 : 2;
    EXPECT_EQ(testing::ops_of(plan.programs[stage], OpKind::send).size(), 4 * neighbours);
    EXPECT_EQ(testing::ops_of(plan.programs[stage], OpKind::receive).size(), 4 * neighbours);
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

TEST(BuildPlan, ScalesBranchesOnce) {
  StrategySpec strategy = testing::subnetwork({1, 2});
  EXPECT_EQ(testing::resnet_plan(strategy).branch_scale_at_test, 0.5);
  EXPECT_EQ(testing::resnet_plan(strategy).branch_scale_in_training, 1);
  strategy.subnetwork->scaling = Scaling::in_training;
  EXPECT_EQ(testing::resnet_plan(strategy).branch_scale_at_test, 1);
  EXPECT_EQ(testing::resnet_plan(strategy).branch_scale_in_training, 2);
  strategy.subnetwork->scaling = Scaling::none;
  EXPECT_EQ(testing::resnet_plan(strategy).branch_scale_at_test, 1);
  EXPECT_EQ(testing::resnet_plan(strategy).branch_scale_in_training, 1);
}

// Everybody's share of the units is scaled by what it lacks; the plan's is that of nobody then. At
// test it is the mean share.
TEST(BuildPlan, ScalesBranchesByTheirWorkersShare) {
  StrategySpec strategy =
      testing::by_width(testing::dealt(AssignmentKind::nested, {{1, 1}, {1, 2}, {1, 2}, {1, 4}}));
  strategy.subnetwork->scaling = Scaling::in_training;
  const Plan plan = testing::resnet_plan(strategy);
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
  EXPECT_EQ(testing::resnet_plan(strategy).branch_scale_at_test, 2.25 / 4);
  EXPECT_EQ(testing::resnet_plan(strategy).programs[1].branch_scale_in_training, std::nullopt);
  // 0.3 of 4 units are 2: the scale is that of what is held.
  strategy.subnetwork->coverages.assign(4, {3, 10});
  EXPECT_EQ(testing::resnet_plan(strategy).branch_scale_at_test, 0.5);
  strategy.subnetwork->scaling = Scaling::in_training;
  EXPECT_EQ(testing::resnet_plan(strategy).branch_scale_in_training, 2)
      << "all alike: it is the plan's";
  EXPECT_EQ(testing::resnet_plan(strategy).programs[0].branch_scale_in_training, std::nullopt);
}

}  // namespace
}  // namespace rehearse
