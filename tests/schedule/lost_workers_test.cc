// Plans without some of their workers.
#include <gtest/gtest.h>

#include "model/plan/verify.h"
#include "tests/schedule/plans.h"
#include "tests/schedule/resnet_plan.h"

namespace rehearse {
namespace {

// The others hold what they held, and divide by those that are left: a unit's holders, all workers
// for what is everybody's. Their part of the batch is that of three of four.
TEST(LostWorkers, OthersGoOn) {
  StrategySpec strategy = testing::subnetwork({1, 2});
  const Plan before = testing::resnet_plan(strategy);
  strategy.subnetwork->lost = {1};
  const Plan after = testing::resnet_plan(strategy, 4);
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

TEST(LostWorkers, NobodyGoesOnWithoutAUnit) {
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

// What a lost worker held alone, or kept for all, is lost.
TEST(LostWorkers, NobodyGoesOnWithoutWhatIsParked) {
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

// A class of one holder has no sum that could be divided by all.
TEST(LostWorkers, AveragingOverAllNeedsTwoHoldersThatAreLeft) {
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

}  // namespace
}  // namespace rehearse
