// Kinds of network against what their geometry says.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "model/cluster/cluster.h"
#include "tests/cluster/machines.h"

namespace rehearse {
namespace {

using testing::dragonfly;
using testing::example;
using testing::kCable;
using testing::torus;

Cluster built(const ClusterSpec& spec) {
  Result<Cluster> cluster = Cluster::build(spec);
  EXPECT_TRUE(cluster.ok()) << (cluster.ok() ? "" : format(cluster.errors()));
  return *std::move(cluster);
}

std::string message(const ClusterSpec& spec) {
  const Result<Cluster> cluster = Cluster::build(spec);
  return cluster.ok() ? "" : cluster.errors().front().message;
}

std::size_t hops(const Cluster& cluster, std::size_t from, std::size_t to) {
  return cluster.route(RankId(from), RankId(to)).size();
}

struct Distances {
  std::size_t sum = 0, largest = 0;  // over ordered pairs of different ranks
};

Distances distances(const Cluster& cluster) {
  Distances distances;
  for (std::size_t a = 0; a < cluster.rank_count(); ++a) {
    for (std::size_t b = 0; b < cluster.rank_count(); ++b) {
      distances.sum += hops(cluster, a, b);
      distances.largest = std::max(distances.largest, hops(cluster, a, b));
    }
  }
  return distances;
}

// "device0 nic0 leaf0 ...": what a route passes.
std::string passed(const Cluster& cluster, std::size_t from, std::size_t to) {
  const auto name = [&](VertexId vertex) { return cluster.vertices()[vertex.index()].name; };
  std::string text = name(cluster.vertex_of(RankId(from)));
  for (const LinkId link : cluster.route(RankId(from), RankId(to)))
    text += " " + name(cluster.links()[link.index()].to);
  return text;
}

// Links from vertices that are on one side to vertices that are not.
template <class IsLeft>
std::size_t links_across(const Cluster& cluster, IsLeft is_left) {
  return static_cast<std::size_t>(std::count_if(
      cluster.links().begin(), cluster.links().end(),
      [&](const Link& link) { return is_left(link.from.index()) && !is_left(link.to.index()); }));
}

TEST(Torus, HasTheDistancesOfItsRings) {
  const Cluster cluster = built(torus({4, 4, 2}));
  // Five cables' ends at every node: two in each ring of four, one in the ring of two.
  EXPECT_EQ(cluster.links().size(), 32u * 5);
  // From a node the others of a ring of four are 0 1 2 1 away, mean 1; of a ring of two 0 1, mean
  // 1/2. Dimensions add up: over all 32 x 32 ordered pairs the mean is 5/2.
  EXPECT_EQ(distances(cluster).sum, 32u * 32 * 5 / 2);
  EXPECT_EQ(distances(cluster).largest, 2u + 2 + 1);
  // Halved across the first dimension: each of its 4 x 2 rings is cut in two places.
  EXPECT_EQ(links_across(cluster, [](std::size_t node) { return node % 4 < 2; }), 2u * 8);
}

TEST(Torus, GoesByTheOrderOfItsDimensionsAndUpwardsWhereBothWaysAreEqual) {
  const Cluster cluster = built(torus({4, 3}));  // node x + 4 y
  EXPECT_EQ(passed(cluster, 0, 5), "node0 node1 node5");
  EXPECT_EQ(passed(cluster, 5, 0), "node5 node4 node0");
  EXPECT_EQ(passed(cluster, 1, 3), "node1 node2 node3");
  EXPECT_EQ(passed(cluster, 3, 1), "node3 node0 node1");
  EXPECT_EQ(passed(cluster, 0, 8), "node0 node8");  // around the ring of three
}

TEST(Torus, LooksAlikeFromEveryNode) {
  // All to all on a ring of four: a node sends 1 up, 2 up, 1 down: links upwards carry 3 messages,
  // downwards 1. Along the other dimension, of three: 1 up, 1 down. The message goes as often along
  // a dimension as there are coordinates in the other.
  const Cluster cluster = built(torus({4, 3}));
  std::map<LinkId, int> messages;
  for (std::size_t a = 0; a < 12; ++a) {
    for (std::size_t b = 0; b < 12; ++b) {
      for (const LinkId link : cluster.route(RankId(a), RankId(b)))
        ++messages[link];
    }
  }
  ASSERT_EQ(messages.size(), cluster.links().size());
  for (const auto& [id, count] : messages) {
    const Link& link = cluster.links()[id.index()];
    const std::size_t from = link.from.index(), to = link.to.index();
    const bool is_first = from / 4 == to / 4, is_up = (from + 1) % 4 == to % 4;
    EXPECT_EQ(count, is_first ? 3 * (is_up ? 3 : 1) : 4) << link.name;
  }
}

TEST(Torus, OfOneOrTwoNodesAlongADimensionHasNoDoubleCables) {
  EXPECT_EQ(built(torus({2})).links().size(), 2u);
  EXPECT_EQ(built(torus({1, 3})).links().size(), 2u * 3);
  EXPECT_EQ(built(torus({1})).links().size(), 0u);
}

TEST(Torus, SaysWhatItsDimensionsWouldJoin) {
  ClusterSpec spec = torus({4, 4});
  spec.nodes = 12;
  EXPECT_EQ(message(spec), "4 x 4 is 16 nodes, but the cluster has 12: 'nodes: 16' would do");
  spec.network.dims = {};
  EXPECT_EQ(message(spec), "a torus has one to three dimensions");
}

TEST(Ring, HasTheDistancesOfACircle) {
  const Cluster cluster = built(example(NetworkKind::ring));
  EXPECT_EQ(cluster.links().size(), 2u * 8);
  // The others are 1 1 2 2 3 3 4 away.
  EXPECT_EQ(distances(cluster).sum, 8u * 16);
  EXPECT_EQ(distances(cluster).largest, 4u);
  EXPECT_EQ(links_across(cluster, [](std::size_t node) { return node < 4; }), 2u);
}

TEST(FullMesh, IsOneLinkFromNodeToNode) {
  const Cluster cluster = built(example(NetworkKind::full_mesh));
  EXPECT_EQ(cluster.links().size(), 8u * 7);
  EXPECT_EQ(distances(cluster).sum, 8u * 7);
  EXPECT_EQ(links_across(cluster, [](std::size_t node) { return node < 4; }), 4u * 4);
}

TEST(FullMesh, IsRefusedBeforeItFillsTheMemory) {
  ClusterSpec spec = example(NetworkKind::full_mesh);
  spec.nodes = 10'000;
  EXPECT_EQ(message(spec),
            "a full mesh of 10000 nodes has 99990000 links: a cluster has at most 10000000");
}

TEST(LeafSpine, HasAnUplinkToEverySpine) {
  ClusterSpec spec = example(NetworkKind::leaf_spine);
  spec.network.uplink = testing::kNvlink;
  const Cluster cluster = built(spec);
  // 8 cables to nodes, 2 leaves times 2 spines.
  EXPECT_EQ(cluster.links().size(), 2u * (8 + 4));
  for (const Link& link : cluster.links())
    EXPECT_EQ(link.bandwidth, link.name.find("spine") != std::string::npos
                                  ? testing::kNvlink.bandwidth
                                  : kCable.bandwidth)
        << link.name;
  // 3 others under the leaf, 2 links away, and 4 behind spines, 4 away.
  EXPECT_EQ(distances(cluster).sum, 8u * (3 * 2 + 4 * 4));
}

TEST(Rail, JoinsEachNicUnderItsRail) {
  // 8 nodes of 4 devices and 2 NICs, 4 nodes under a leaf: 2 leaves for each of 2 rails, 4 spines.
  const Cluster cluster = built(example(NetworkKind::rail));
  EXPECT_EQ(passed(cluster, 0, 3), "device0 node0 device3");
  EXPECT_EQ(passed(cluster, 0, 4), "device0 nic0 rail0.leaf0 nic2 device4");
  EXPECT_EQ(passed(cluster, 1, 4), "device1 nic0 rail0.leaf0 nic2 device4");
  EXPECT_EQ(passed(cluster, 3, 7), "device3 nic1 rail1.leaf0 nic3 device7");
  // To another rail or another leaf by a spine: 6 links. Destinations are counted rail by rail:
  // node 1 of rail 1 is 8 + 1, node 5 of rail 0 is 5; both modulo 4 are 1.
  EXPECT_EQ(passed(cluster, 0, 6), "device0 nic0 rail0.leaf0 spine1 rail1.leaf0 nic3 device6");
  EXPECT_EQ(passed(cluster, 0, 20), "device0 nic0 rail0.leaf0 spine1 rail0.leaf1 nic10 device20");
  // Cables: 32 devices to their switch and 32 to their NIC, 16 NICs, 4 leaves to 4 spines.
  EXPECT_EQ(cluster.links().size(), 2u * (32 + 32 + 16 + 4 * 4));
}

TEST(Rail, IsNonBlockingForShiftsWithinRails) {
  const Cluster cluster = built(example(NetworkKind::rail));
  for (std::size_t shift = 1; shift < 8; ++shift) {
    std::map<LinkId, int> messages;
    for (std::size_t node = 0; node < 8; ++node) {
      for (const std::size_t device : {0u, 2u}) {  // one of each NIC
        const std::size_t from = 4 * node + device, to = (from + 4 * shift) % 32;
        for (const LinkId link : cluster.route(RankId(from), RankId(to)))
          EXPECT_EQ(++messages[link], 1) << cluster.links()[link.index()].name;
      }
    }
  }
}

TEST(Rail, HasTheBandwidthOfItsNicsUpwardsDividedByTheOversubscription) {
  ClusterSpec spec = example(NetworkKind::rail);
  spec.network.oversubscription = 2;
  const Cluster cluster = built(spec);
  std::map<std::string, double> upwards;
  for (const Link& link : cluster.links()) {
    const auto& vertices = cluster.vertices();
    if (vertices[link.to.index()].name.starts_with("spine"))
      upwards[vertices[link.from.index()].name] += link.bandwidth.bytes_per_second();
  }
  ASSERT_EQ(upwards.size(), 4u);
  for (const auto& [leaf, bandwidth] : upwards)
    EXPECT_DOUBLE_EQ(bandwidth, 4 * kCable.bandwidth.bytes_per_second() / 2) << leaf;
}

struct DragonflyCase {
  std::int64_t groups, p, a, h;
};

class Dragonfly : public ::testing::TestWithParam<DragonflyCase> {};

TEST_P(Dragonfly, JoinsEveryTwoGroupsAlike) {
  const auto [groups, p, a, h] = GetParam();
  const Cluster cluster = built(dragonfly(groups * a * p, p, a, h));
  std::map<std::pair<std::string, std::string>, std::int64_t> between;
  std::map<std::string, std::int64_t> global_links, local_links, nodes;
  for (const Link& link : cluster.links()) {
    const std::string &from = cluster.vertices()[link.from.index()].name,
                      &to = cluster.vertices()[link.to.index()].name;
    if (!from.starts_with("group")) continue;
    if (!to.starts_with("group")) {
      ++nodes[from];
      continue;
    }
    const std::string group = from.substr(0, from.find('.')), other = to.substr(0, to.find('.'));
    ++(group == other ? local_links : global_links)[from];
    if (group != other) ++between[{group, other}];
  }
  // a h channels of a group, dealt evenly to the others; what is left over is not used.
  EXPECT_EQ(std::ssize(between), groups * (groups - 1));
  for (const auto& [pair, count] : between)
    EXPECT_EQ(count, a * h / (groups - 1)) << pair.first << " " << pair.second;
  for (const auto& [router, count] : global_links)
    EXPECT_LE(count, h) << router;
  EXPECT_EQ(std::ssize(nodes), groups * a);
  for (const auto& [router, count] : nodes) {
    EXPECT_EQ(count, p) << router;
    EXPECT_EQ(local_links[router], a - 1) << router;
  }
  // Node, router, its group, the other group, router, node.
  EXPECT_LE(distances(cluster).largest, 5u);
}

// Balanced (a = 2 p = 2 h) and full, as the paper has it; half full; two cables between groups.
INSTANTIATE_TEST_SUITE_P(Shapes, Dragonfly,
                         ::testing::Values(DragonflyCase{9, 2, 4, 2}, DragonflyCase{5, 1, 4, 1},
                                           DragonflyCase{3, 1, 4, 2}, DragonflyCase{4, 2, 3, 2}),
                         [](const auto& c) {
                           return "groups" + std::to_string(c.param.groups) + "_a" +
                                  std::to_string(c.param.a) + "_h" + std::to_string(c.param.h);
                         });

TEST(Dragonfly, HasTheDistancesOfItsGroups) {
  // 5 groups of 4 routers of one node, one global link each. From a node: 3 in its group, 3 links
  // away; of the group that its router leads to, the router there is 3 away, its 3 others 4; of the
  // 3 other groups, one router is 4 away and 3 are 5. With one global link for each router there is
  // nothing shorter by a third group.
  EXPECT_EQ(distances(built(dragonfly(20, 1, 4, 1))).sum,
            20u * (3 * 3 + (3 + 3 * 4) + 3 * (4 + 3 * 5)));
}

TEST(Dragonfly, SaysHowManyGroupsItJoins) {
  EXPECT_EQ(message(dragonfly(80, 2, 4, 2)),
            "80 nodes are 10 groups of 8, but a group has 8 global links: 9 groups at most");
}

TEST(Custom, MayBeAsymmetric) {
  ClusterSpec spec = testing::custom(2, {"hub"}, {{"node0", "hub"}});
  spec.network.links.push_back({"node1", "hub", kCable, std::nullopt});
  spec.network.links.push_back({"hub", "node1", testing::kNvlink, std::nullopt});
  const Cluster cluster = built(spec);
  const auto last = [&](std::size_t from, std::size_t to) {
    return cluster.links()[cluster.route(RankId(from), RankId(to)).back().index()];
  };
  EXPECT_EQ(last(0, 1).name, "hub->node1");
  EXPECT_EQ(last(0, 1).bandwidth, testing::kNvlink.bandwidth);
  EXPECT_EQ(last(1, 0).bandwidth, kCable.bandwidth);
}

TEST(Custom, NodesForwardWhereTheyAreSaidTo) {
  ClusterSpec chain = testing::custom(3, {}, {{"node0", "node1"}, {"node1", "node2"}});
  EXPECT_EQ(message(chain), "rank 2 (node2) cannot reach rank 0 (node0)");
  chain.network.nodes_forward = true;
  EXPECT_EQ(passed(built(chain), 0, 2), "node0 node1 node2");
}

TEST(Custom, NamesBothEndsOfWhatCannotReachEachOther) {
  ClusterSpec spec = testing::custom(3, {"a", "b"}, {{"node0", "a"}, {"node1", "a"}});
  spec.network.links.push_back({"b", "node2", kCable, std::nullopt});
  spec.network.links.push_back({"a", "b", kCable, kCable});
  EXPECT_EQ(message(spec), "rank 2 (node2) cannot reach rank 0 (node0)");
  spec.network.links.push_back({"node2", "b", {}, std::nullopt});
  EXPECT_EQ(message(spec), "the link node2->b needs a bandwidth above 0");
}

TEST(DirectNetworks, JoinANodeInOnePlace) {
  ClusterSpec spec = torus({2, 2});
  spec.devices_per_node = 4;
  EXPECT_EQ(message(testing::with_nics(spec, 2)),
            "a torus joins each node in one place, but it has 2 NICs");
  EXPECT_EQ(passed(built(testing::with_nics(spec, 1)), 0, 15), "device0 nic0 nic1 nic3 device15");
}

}  // namespace
}  // namespace rehearse
