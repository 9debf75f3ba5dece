// Replicas that each leave out blocks that they draw.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "model/plan/plan_text.h"
#include "model/plan/verify.h"
#include "tests/schedule/plans.h"
#include "tests/schedule/resnet_plan.h"

namespace rehearse {
namespace {

// Everybody holds everything, runs what it has drawn and adds zeros for the rest.
TEST(StochasticDepth, ReplicasHoldAllAndClearWhatTheyDoNotRun) {
  const StrategySpec ddp = testing::data_parallel("depth", Bytes::kib(16));
  std::set<std::vector<bool>> drawn;
  for (std::int64_t draw = 0; draw < 8; ++draw) {
    const Plan plan = testing::resnet_plan(testing::with_depth(ddp, 0.3, draw));
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
    const Plan plan =
        testing::resnet_plan(testing::with_depth(testing::data_parallel(), kKeep, draw));
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
  const Plan plain = testing::resnet_plan(ddp);
  Plan plan = testing::resnet_plan(testing::with_depth(ddp, 0.3, kNothingDropped));
  const Net net = *whole_net(plan);
  const std::vector<double> scales = branch_scales_at_test(plan, net);
  EXPECT_EQ(scales.size(), 9u);
  EXPECT_NEAR(scales.front(), 1 - 0.7 / 9, 1e-15);
  EXPECT_NEAR(scales.back(), 0.3, 1e-15);
  plan.survival.reset();
  EXPECT_EQ(plan_hash(plan), plan_hash(plain));
}

}  // namespace
}  // namespace rehearse
