#include "cost/missing_prices.h"

#include <gtest/gtest.h>

#include "tests/cost/devices.h"

namespace rehearse {
namespace {

using testing::simple_device;

Cluster cluster_of(const Device& device, std::int64_t ranks) {
  ClusterSpec spec;
  spec.device = device;
  spec.devices_per_node = ranks;
  return Cluster::build(spec).value();
}

// A program of these ops, by as many ranks; nothing else of a plan matters here.
Plan plan_of(std::vector<OpKind> kinds) {
  Plan plan;
  plan.programs.emplace_back();
  for (const OpKind kind : kinds)
    plan.programs.back().ops.emplace_back().kind = kind;
  return plan;
}

const std::vector<OpKind> kAlone = {OpKind::load_batch, OpKind::forward, OpKind::optimizer_step};
const std::vector<OpKind> kTogether = {OpKind::forward, OpKind::all_reduce};

TEST(MissingPrices, AreThoseThatThePlanNeeds) {
  const Device bare = simple_device();  // of a CPU, with neither messaging nor capacity
  using enum MissingPrice;
  EXPECT_EQ(missing_prices(plan_of(kAlone), cluster_of(bare, 1)), (std::vector<MissingPrice>{}));
  EXPECT_EQ(missing_prices(plan_of(kAlone), cluster_of(bare, 2)), (std::vector{capacity}));
  EXPECT_EQ(missing_prices(plan_of(kTogether), cluster_of(bare, 2)),
            (std::vector{messaging, capacity}));
  Device priced = bare;
  priced.messaging.per_message = Seconds::microseconds(1);
  priced.capacity = {1, 1.9};
  EXPECT_EQ(missing_prices(plan_of(kTogether), cluster_of(priced, 2)),
            (std::vector<MissingPrice>{}));
}

TEST(MissingPrices, OfAGpuIsItsLaunch) {
  Device gpu = simple_device();
  gpu.kind = DeviceKind::gpu;
  EXPECT_EQ(missing_prices(plan_of(kAlone), cluster_of(gpu, 2)),
            (std::vector{MissingPrice::launch}));
  gpu.launch = Seconds::microseconds(5);
  EXPECT_TRUE(missing_prices(plan_of(kAlone), cluster_of(gpu, 2)).empty());
}

TEST(MissingPrices, OfAnyOfTheDevices) {
  ClusterSpec spec;
  spec.devices_per_node = 2;
  spec.device = simple_device();
  spec.device.kind = DeviceKind::gpu;
  spec.device.launch = Seconds::microseconds(5);
  RankException other;
  other.ranks = {RankId(1)};
  other.device = spec.device;
  other.device->launch = {};
  spec.ranks.push_back(other);
  EXPECT_EQ(missing_prices(plan_of(kAlone), Cluster::build(spec).value()),
            (std::vector{MissingPrice::launch}));
}

// Two ranks that reduce together: over the links between them, over a network's, over none.
TEST(MissingPrices, OfGpusThatNothingJoins) {
  Plan plan;
  plan.groups = {{{RankId(0), RankId(1)}}};
  plan.programs.emplace_back();
  plan.programs.back().ops.push_back(
      {OpKind::all_reduce, LaneId(0), {}, {}, Collective{0, ParameterClassId(0), 0, 8, 4, 2}});
  plan.ranks.resize(2);
  for (RankBinding& rank : plan.ranks)
    rank.program = RankClassId(0), rank.groups = {GroupId(0)};
  ClusterSpec spec;
  spec.devices_per_node = 2;
  spec.device = simple_device();
  spec.device.kind = DeviceKind::gpu;
  spec.device.launch = spec.device.messaging.collective = Seconds::microseconds(5);
  const auto missing = [&] { return missing_prices(plan, Cluster::build(spec).value()); };
  EXPECT_EQ(missing(), (std::vector{MissingPrice::interconnect}));
  EXPECT_TRUE(is_of_cluster(MissingPrice::interconnect));
  spec.interconnect = {BytesPerSecond::bytes_per_second(1e9), Seconds::microseconds(1)};
  EXPECT_TRUE(missing().empty());
  spec.interconnect.reset();
  spec.nodes = 2, spec.devices_per_node = 1;
  spec.network = {.kind = NetworkKind::crossbar,
                  .link = {BytesPerSecond::bytes_per_second(1e9), Seconds::microseconds(1)}};
  EXPECT_TRUE(missing().empty());
}

TEST(MissingPrices, HaveNamesAndMeanings) {
  for (int p = 0; p <= static_cast<int>(kLastMissingPrice); ++p) {
    EXPECT_FALSE(to_string(static_cast<MissingPrice>(p)).empty());
    EXPECT_FALSE(meaning_of(static_cast<MissingPrice>(p)).empty());
  }
}

}  // namespace
}  // namespace rehearse
