#include "model/cluster/cluster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "tests/cluster/machines.h"

namespace rehearse {
namespace {

using testing::crossbar;
using testing::fat_tree;
using testing::kCable;
using testing::kNvlink;
using testing::single_node;
using testing::with_interconnect;

std::string message(const Result<Cluster>& cluster) {
  return cluster.ok() ? "" : cluster.errors().front().message;
}

// The sum over links out of vertices whose name begins so, to ones that begin so.
BytesPerSecond bandwidth_between(const Cluster& cluster, std::string_view from,
                                 std::string_view to) {
  BytesPerSecond sum;
  for (const Link& link : cluster.links()) {
    if (cluster.vertices()[link.from.index()].name.starts_with(from) &&
        cluster.vertices()[link.to.index()].name.starts_with(to)) {
      sum += link.bandwidth;
    }
  }
  return sum;
}

TEST(Cluster, PlacesRanksNodeByNode) {
  const Cluster cluster = *Cluster::build(crossbar(3, 4));
  EXPECT_EQ(cluster.rank_count(), 12u);
  EXPECT_EQ(cluster.node_count(), 3u);
  for (int rank = 0; rank < 12; ++rank)
    EXPECT_EQ(cluster.node_of(RankId(rank)), NodeId(rank / 4));
}

TEST(Cluster, HasTheLinksOfItsNetwork) {
  // A cable is two links. No network and no interconnect: none at all.
  EXPECT_EQ(Cluster::build(single_node(4))->links().size(), 0u);
  EXPECT_EQ(Cluster::build(with_interconnect(single_node(4)))->links().size(), 2u * 4);
  EXPECT_EQ(Cluster::build(crossbar(5))->links().size(), 2u * 5);
  EXPECT_EQ(Cluster::build(with_interconnect(crossbar(5, 2)))->links().size(), 2u * (5 + 10));
  // 8 node cables; 2 leaves with a cable to each of 4 spines.
  EXPECT_EQ(Cluster::build(fat_tree(8, 4, 1))->links().size(), 2u * (8 + 2 * 4));
  // One leaf needs no spines.
  EXPECT_EQ(Cluster::build(fat_tree(4, 4, 1))->links().size(), 2u * 4);
}

TEST(Cluster, LinksCarryTheirSpecAndComeInPairs) {
  const Cluster cluster = *Cluster::build(with_interconnect(fat_tree(8, 4, 1, 2)));
  std::set<std::string> names;
  for (const Link& link : cluster.links()) {
    const bool inside = link.name.find("device") != std::string::npos;
    EXPECT_EQ(link.bandwidth, inside ? kNvlink.bandwidth : kCable.bandwidth) << link.name;
    EXPECT_EQ(link.latency, inside ? kNvlink.latency : kCable.latency) << link.name;
    EXPECT_TRUE(names.insert(link.name).second) << "two links " << link.name;
    const auto& vertices = cluster.vertices();
    EXPECT_EQ(link.name, vertices[link.from.index()].name + "->" + vertices[link.to.index()].name);
  }
  for (const Link& link : cluster.links()) {
    const auto& vertices = cluster.vertices();
    const std::string back =
        vertices[link.to.index()].name + "->" + vertices[link.from.index()].name;
    EXPECT_EQ(names.count(back), 1u) << back;
  }
}

class FatTree : public ::testing::TestWithParam<double> {};

TEST_P(FatTree, LeavesHaveTheirNodesBandwidthUpwardsDividedByTheOversubscription) {
  // 4 leaves of 6 nodes with B each: a leaf has 6 B below and 6 B / o above, split over spines.
  const double oversubscription = GetParam();
  const Cluster cluster = *Cluster::build(fat_tree(24, 6, oversubscription));
  const double below = bandwidth_between(cluster, "node", "leaf0").bytes_per_second();
  EXPECT_DOUBLE_EQ(below, 6 * kCable.bandwidth.bytes_per_second());
  const double above = bandwidth_between(cluster, "leaf0", "spine").bytes_per_second();
  EXPECT_NEAR(above, below / oversubscription, 1e-12 * below);
  // Bisection: two leaves on either side of the spines; what crosses is what two leaves send up.
  const double bisection = 2 * above;
  const double full = 12 * kCable.bandwidth.bytes_per_second();
  EXPECT_NEAR(bisection, full / oversubscription, 1e-12 * full);
  EXPECT_DOUBLE_EQ(above, bandwidth_between(cluster, "spine", "leaf0").bytes_per_second());
}

// 7: less than one node's link upwards, so one thin spine; 2.5: 2.4 links' worth over 3 spines.
INSTANTIATE_TEST_SUITE_P(Oversubscriptions, FatTree, ::testing::Values(1, 1.5, 2, 2.5, 3, 6, 7));

TEST(Cluster, StaysSmallAndBuildsAtTenThousandDevices) {
  // 1,250 nodes of 8 under 79 leaves of 16 with 16 spines: cables are 10,000 + 1,250 + 79 * 16, and
  // nothing that is kept grows with pairs of ranks.
  const Cluster cluster = *Cluster::build(with_interconnect(fat_tree(1250, 16, 1, 8)));
  EXPECT_EQ(cluster.rank_count(), 10'000u);
  EXPECT_EQ(cluster.links().size(), 2u * (10'000 + 1'250 + 79 * 16));
  std::size_t hops = 0;
  for (std::size_t r = 0; r < cluster.rank_count(); ++r) {
    hops += cluster.route(RankId(r), RankId((r + 8) % cluster.rank_count())).size();
  }
  // To the next node: 4 links under one leaf; 6 from the last node of each of the 79 leaves.
  EXPECT_EQ(hops, 4u * (10'000 - 79 * 8) + 6u * 79 * 8);
}

TEST(Cluster, RefusesWhatIsNoMachine) {
  EXPECT_EQ(message(Cluster::build(crossbar(0))), "0 nodes: a cluster has one or more");
  EXPECT_EQ(message(Cluster::build(single_node(0))), "0 devices per node: a node has one or more");
  // 3 * 10^6 * 10^13 does not fit 64 bits.
  EXPECT_EQ(message(Cluster::build(crossbar(3'000'000, 10'000'000'000'000))),
            "3000000 nodes of 10000000000000 devices: a cluster has at most 1000000 devices");
  ClusterSpec two_nodes = single_node(4);
  two_nodes.nodes = 2;
  EXPECT_EQ(message(Cluster::build(two_nodes)), "2 nodes need a network");
  EXPECT_EQ(
      message(Cluster::build(fat_tree(8, 4, 0.5))),
      "oversubscription 0.5: from 1, where a leaf has the bandwidth of its nodes upwards, to 1000");
  EXPECT_EQ(message(Cluster::build(fat_tree(8, 0, 1))), "a leaf switch has one node or more");
}

TEST(Cluster, RefusesLinksThatCarryNothing) {
  ClusterSpec spec = crossbar(2);
  spec.network.link.bandwidth = {};
  EXPECT_EQ(message(Cluster::build(spec)), "the network's link needs a bandwidth above 0");
  spec = crossbar(2);
  spec.network.link.latency = Seconds::seconds(-1);
  EXPECT_EQ(message(Cluster::build(spec)), "the network's link has a latency below 0");
  spec = crossbar(2);
  spec.interconnect = LinkSpec{};
  EXPECT_EQ(message(Cluster::build(spec)), "the interconnect needs a bandwidth above 0");
}

TEST(NetworkKinds, AreSortedAndAllBuild) {
  const auto& rows = network_kinds();
  EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return to_string(a.kind) < to_string(b.kind);
  }));
  for (const NetworkKindRow& row : rows) {
    const Result<Cluster> cluster = Cluster::build(testing::example(row.kind));
    EXPECT_TRUE(cluster.ok()) << to_string(row.kind);
    EXPECT_FALSE(row.help.empty());
  }
}

}  // namespace
}  // namespace rehearse
