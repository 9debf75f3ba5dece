#include "cost/estimate.h"

#include <gtest/gtest.h>

#include <numeric>

#include "cost/cost_model.h"
#include "tests/cost/devices.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

TEST(StageCosts, AddUpToTheNetwork) {
  const Net net = build_net(testing::resnet20()).value();
  Device device = testing::simple_device();
  const StageCosts costs = stage_costs(net, Recomputation::none, 8, testing::training(), device);
  ASSERT_EQ(costs.forward.size(), net.blocks.size());
  double sum = 0, total = 0;
  for (std::size_t b = 0; b < net.blocks.size(); ++b) {
    EXPECT_GT(costs.forward[b], 0) << net.blocks[b].name;
    total += costs.forward[b] + costs.backward_input[b] + costs.backward_weight[b];
    const SegmentId begin = begin_of(net, BlockId(b)), end = end_of(net, BlockId(b));
    for (const Pass pass : {Pass::forward, Pass::backward}) {
      sum += price_pass(net, begin, end, pass, 8, {}, device).seconds.seconds();
    }
  }
  // The two halves of a backward are its kernels.
  EXPECT_NEAR(total, sum, 1e-12);
}

// Splitting the same batch in any other way does not change the arithmetic.
TEST(ModelFlops, AreTheSameForEveryStrategyThatTrainsTheWholeModel) {
  const Net net = build_net(testing::resnet20()).value();
  const double expected = flops_of(net, 256).total().flops();
  for (const char* name : {"ddp", "one", "accumulate", "gpipe", "1f1b", "pipelines", "whole"}) {
    for (const testing::PlanCase& c : testing::all_cases()) {
      if (c.name != name) continue;
      const Plan plan = testing::plan_of(c).value();
      EXPECT_NEAR(model_flops(plan, net).flops() / expected, 1, 1e-12) << name;
    }
  }
}

// Each unit of resnet20 has 2 of 4 workers: what lies outside the units is run by all.
TEST(ModelFlops, LeaveOutDroppedBlocks) {
  const Net net = build_net(testing::resnet20()).value();
  const Plan plan =
      testing::plan_of({"sub", testing::subnetwork({1, 2}), testing::resnet20(), 4}).value();
  Subnetwork none = full_subnetwork(net);
  none.holds.assign(none.holds.size(), false);
  const double outside = flops_of(restrict(net, none), 256).total().flops();
  const double whole = flops_of(net, 256).total().flops();
  EXPECT_NEAR(model_flops(plan, net).flops() / (outside + (whole - outside) / 2), 1, 1e-12);
}

}  // namespace
}  // namespace rehearse
