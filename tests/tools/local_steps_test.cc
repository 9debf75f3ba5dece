// Figures of a period of local steps.
#include <gtest/gtest.h>

#include "tests/tools/summaries.h"

namespace rehearse {
namespace {

// Three steps of 100 ms and one of 200: 500 ms for 4 x 256 samples.
TEST(OverPeriod, TakesMeansOverItsSteps) {
  StrategySummary local = testing::strategy_summary("diloco", 100);
  StrategySummary last = testing::strategy_summary("diloco", 200);
  local.kinds = {{OpKind::forward, 2, Seconds::microseconds(1000)}};
  local.links = {{"loopback", Bytes::kib(8), 0.5}};
  for (RankSummary& rank : local.ranks)
    rank.traffic = TrafficSummary{};
  local.plan_hash = "fedcba9876543210";
  const StrategySummary mean = over_period(local, last, 4);
  EXPECT_EQ(mean.plan_hash, local.plan_hash) << "a run begins with it";
  ASSERT_TRUE(mean.local_steps.has_value());
  EXPECT_EQ(mean.local_steps->steps, 4);
  EXPECT_EQ(mean.local_steps->local_step, local.step_time);
  EXPECT_EQ(mean.local_steps->synchronising_step, last.step_time);
  EXPECT_NEAR(mean.step_time.seconds(), 0.125, 1e-15);
  EXPECT_NEAR(mean.samples_per_s, 256 / 0.125, 1e-9);
  EXPECT_NEAR(*mean.mfu, *last.mfu * 200 / 125, 1e-12);
  // Half of a step, as in either.
  EXPECT_NEAR(mean.compute.seconds(), 0.0625, 1e-15);
  EXPECT_NEAR(mean.ranks[1].exposed_communication.seconds(), 0.125 / 4, 1e-15);
  EXPECT_EQ(mean.ranks[0].traffic->sent, Bytes::kib(100) / 4);
  // A link that is used in the last step only, for 0.125 of 200 ms in 500; and one that is not.
  ASSERT_EQ(mean.links.size(), 2u);
  EXPECT_EQ(mean.links[0].bytes, Bytes::kib(7) / 4);
  EXPECT_NEAR(mean.links[0].utilisation, 0.125 * 200 / 500, 1e-12);
  EXPECT_EQ(mean.links[1].name, "loopback");
  EXPECT_EQ(mean.links[1].bytes, Bytes::kib(6));
  EXPECT_NEAR(mean.links[1].utilisation, 3 * 0.5 * 100 / 500, 1e-12);
  ASSERT_EQ(mean.kinds.size(), 2u);
  EXPECT_NEAR(mean.kinds[0].busy.seconds(), 1e-3, 1e-15);
  EXPECT_NEAR(mean.kinds[1].busy.seconds(), 3e-3 / 4, 1e-15);
}

TEST(OverPeriod, TakesTheLargerMemory) {
  const StrategySummary last = testing::subnetwork_summary("local", 200);
  StrategySummary local = last;
  for (RankSummary& rank : local.ranks)
    rank.memory->peak = Bytes::mib(20);
  take_worst_memory(local);
  local.pools = {{"parameters", Bytes::mib(9)}};
  local.fits = false;
  const StrategySummary mean = over_period(local, last, 4);
  EXPECT_EQ(mean.memory->peak, Bytes::mib(20));
  EXPECT_EQ(mean.memory->arena, last.memory->arena);
  ASSERT_EQ(mean.pools.size(), 1u);
  EXPECT_EQ(mean.pools[0].size, Bytes::mib(9));
  EXPECT_EQ(mean.fits, false);
  EXPECT_EQ(over_period(last, last, 4).fits, true);
}

}  // namespace
}  // namespace rehearse
