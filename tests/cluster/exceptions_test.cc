// Links and ranks that differ from the rest.
#include <gtest/gtest.h>

#include "model/cluster/cluster.h"
#include "tests/cluster/machines.h"

namespace rehearse {
namespace {

using testing::crossbar;
using testing::fat_tree;
using testing::kCable;

std::string message(const ClusterSpec& spec) {
  const Result<Cluster> cluster = Cluster::build(spec);
  return cluster.ok() ? "" : cluster.errors().front().message;
}

constexpr BytesPerSecond kSlow = BytesPerSecond::gigabytes_per_second(1);

TEST(LinkException, ChangesOneDirectionOrBoth) {
  const auto slow_links = [](const std::string& name) {
    ClusterSpec spec = fat_tree(8, 4, 1);
    spec.links = {{name, kSlow, std::nullopt, std::nullopt}};
    std::string names;
    const Cluster cluster = *Cluster::build(spec);
    for (const Link& link : cluster.links()) {
      EXPECT_EQ(link.latency, kCable.latency);
      if (link.bandwidth == kSlow) names += link.name + " ";
    }
    return names;
  };
  EXPECT_EQ(slow_links("leaf1->spine2"), "leaf1->spine2 ");
  EXPECT_EQ(slow_links("leaf1--spine2"), "leaf1->spine2 spine2->leaf1 ");
  EXPECT_EQ(slow_links("spine2--leaf1"), "leaf1->spine2 spine2->leaf1 ");
}

TEST(LinkException, TellsParallelCablesApart) {
  ClusterSpec spec = testing::example(NetworkKind::custom);
  spec.links = {{"left--right#2", kSlow, std::nullopt, std::nullopt}};
  int slow = 0;
  const Cluster cluster = *Cluster::build(spec);
  for (const Link& link : cluster.links()) {
    EXPECT_EQ(link.bandwidth == kSlow, link.name.ends_with("#2")) << link.name;
    slow += link.bandwidth == kSlow ? 1 : 0;
  }
  EXPECT_EQ(slow, 2);
}

TEST(LinkException, OfNoLinkSuggestsOne) {
  ClusterSpec spec = fat_tree(8, 4, 1);
  spec.links = {{"leaf1->spin2", kSlow, std::nullopt, std::nullopt}};
  EXPECT_EQ(message(spec), "there is no link 'leaf1->spin2'; did you mean 'leaf1->spine2'?");
  spec.links = {{"node0", kSlow, std::nullopt, std::nullopt}};
  EXPECT_EQ(message(spec),
            "there is no link 'node0'; 'a->b' is the link from a to b, 'a--b' that and the one "
            "back");
  spec.links = {{"node0->leaf0", BytesPerSecond{}, std::nullopt, std::nullopt}};
  EXPECT_EQ(message(spec), "the link node0->leaf0 needs a bandwidth above 0");
}

TEST(RankException, GivesRanksDevicesAndSpeeds) {
  ClusterSpec spec = crossbar(4);
  spec.device.name = "usual";
  Device other;
  other.name = "other";
  spec.ranks = {{{RankId(1), RankId(3)}, other, std::nullopt}, {{RankId(3)}, std::nullopt, 0.8}};
  EXPECT_FALSE(is_uniform(spec));
  const Cluster cluster = *Cluster::build(spec);
  std::string devices;
  for (std::size_t r = 0; r < 4; ++r) {
    devices += cluster.device(RankId(r)).name + " ";
    EXPECT_EQ(cluster.speed(RankId(r)), r == 3 ? 0.8 : 1) << r;
  }
  EXPECT_EQ(devices, "usual other usual other ");
  EXPECT_TRUE(is_uniform(crossbar(4)));
}

TEST(RankException, IsOneForEachRank) {
  ClusterSpec spec = crossbar(4);
  spec.ranks = {{{RankId(4)}, std::nullopt, 0.5}};
  EXPECT_EQ(message(spec), "there is no rank 4: the cluster has 4");
  spec.ranks = {{{RankId(0)}, std::nullopt, 0.5}, {{RankId(0)}, std::nullopt, 0.6}};
  EXPECT_EQ(message(spec), "rank 0 has a speed already");
  spec.ranks = {{{RankId(0)}, std::nullopt, 0.0}};
  EXPECT_EQ(message(spec), "a speed is from 0.001 to 1000, got 0");
  spec.ranks.front().speed = 1e-300;
  EXPECT_EQ(message(spec), "a speed is from 0.001 to 1000, got 1e-300");
}

TEST(Efficiency, IsLinearInTheLogarithmOfTheSize) {
  LinkSpec link = kCable;
  EXPECT_EQ(efficiency(link, Bytes::bytes(1)), 1);
  link.efficiency = {{Bytes::kib(64), 0.3}, {Bytes::mib(1), 0.8}, {Bytes::mib(16), 1}};
  EXPECT_DOUBLE_EQ(efficiency(link, Bytes::bytes(0)), 0.3);
  EXPECT_DOUBLE_EQ(efficiency(link, Bytes::kib(64)), 0.3);
  // 2^18 is half-way between 2^16 and 2^20, 2^22 between 2^20 and 2^24; 2^17 a quarter of the way.
  EXPECT_NEAR(efficiency(link, Bytes::kib(256)), (0.3 + 0.8) / 2, 0x1p-32);
  EXPECT_NEAR(efficiency(link, Bytes::mib(4)), (0.8 + 1) / 2, 0x1p-32);
  EXPECT_NEAR(efficiency(link, Bytes::kib(128)), 0.3 + 0.5 / 4, 0x1p-32);
  EXPECT_NEAR(efficiency(link, Bytes::mib(1)), 0.8, 0x1p-32);
  EXPECT_DOUBLE_EQ(efficiency(link, Bytes::gib(1)), 1);
}

TEST(Efficiency, IsKeptByTheLinksAndChecked) {
  ClusterSpec spec = crossbar(2);
  spec.network.link.efficiency = {{Bytes::kib(1), 0.5}};
  const Cluster cluster = *Cluster::build(spec);
  EXPECT_EQ(efficiency(cluster.links().front(), Bytes::gib(1)), 0.5);
  spec.network.link.efficiency = {{Bytes::kib(1), 1.5}};
  EXPECT_EQ(message(spec), "the network's link's efficiency 1.5 is not above 0 and at most 1");
  spec.network.link.efficiency = {{Bytes::kib(1), 0.5}, {Bytes::kib(1), 0.6}};
  EXPECT_EQ(message(spec), "the network's link's efficiency is by growing sizes");
}

}  // namespace
}  // namespace rehearse
