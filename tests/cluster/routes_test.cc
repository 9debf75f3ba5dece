// Routes against an independent oracle (Boost.Graph's breadth-first search) and closed forms.
#include <gtest/gtest.h>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/breadth_first_search.hpp>
#include <map>

#include "model/cluster/cluster.h"
#include "tests/cluster/machines.h"

namespace rehearse {
namespace {

using testing::crossbar;
using testing::fat_tree;
using testing::single_node;
using testing::with_interconnect;

// Hops from one vertex to every other.
std::vector<std::size_t> distances(const Cluster& cluster, VertexId from) {
  boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS> graph(
      cluster.vertices().size());
  for (const Link& link : cluster.links()) {
    boost::add_edge(link.from.index(), link.to.index(), graph);
  }
  std::vector<std::size_t> hops(cluster.vertices().size(), 0);
  boost::breadth_first_search(graph, from.index(),
                              boost::visitor(boost::make_bfs_visitor(
                                  boost::record_distances(hops.data(), boost::on_tree_edge()))));
  return hops;
}

struct Machine {
  const char* name;
  ClusterSpec spec;
};

ClusterSpec torus_of_nodes(std::int64_t devices) {
  ClusterSpec spec = testing::torus({3, 2, 2});
  spec.devices_per_node = devices;
  return spec;
}

std::vector<Machine> machines() {
  return {
      {"one_device", single_node(1)},
      {"node_without_interconnect", single_node(4)},
      {"node_with_interconnect", with_interconnect(single_node(8))},
      {"crossbar", crossbar(6)},
      {"crossbar_of_nodes", with_interconnect(crossbar(3, 4))},
      {"one_leaf", fat_tree(5, 8, 1)},
      {"fat_tree", fat_tree(12, 4, 1)},
      {"last_leaf_is_part_full", with_interconnect(fat_tree(7, 3, 1, 2))},
      {"oversubscribed", with_interconnect(fat_tree(16, 4, 2, 2))},
      {"oversubscribed_unevenly", fat_tree(20, 5, 2)},
      {"dragonfly", testing::example(NetworkKind::dragonfly)},
      {"full_mesh", testing::example(NetworkKind::full_mesh)},
      {"leaf_spine", testing::example(NetworkKind::leaf_spine)},
      {"ring", testing::example(NetworkKind::ring)},
      {"torus", with_interconnect(torus_of_nodes(2))},
  };
}

class Routes : public ::testing::TestWithParam<Machine> {};

TEST_P(Routes, AreConnectedWaysOfFewestLinks) {
  const Cluster cluster = *Cluster::build(GetParam().spec);
  for (std::size_t a = 0; a < cluster.rank_count(); ++a) {
    // Every route from a begins where a stands: the oracle starts there too.
    std::optional<VertexId> start;
    for (std::size_t b = 0; b < cluster.rank_count(); ++b) {
      const Route route = cluster.route(RankId(a), RankId(b));
      if (route.empty()) continue;
      const VertexId begin = cluster.links()[route.front().index()].from;
      EXPECT_EQ(start.value_or(begin), begin);
      start = begin;
      VertexId at = begin;
      for (const LinkId link : route) {
        EXPECT_EQ(cluster.links()[link.index()].from, at);
        at = cluster.links()[link.index()].to;
      }
      EXPECT_EQ(route.size(), distances(cluster, begin)[at.index()]) << a << " to " << b;
      // The other way round ends here and begins there, over as many links.
      const Route back = cluster.route(RankId(b), RankId(a));
      ASSERT_EQ(back.size(), route.size());
      EXPECT_EQ(cluster.links()[back.front().index()].from, at);
      EXPECT_EQ(cluster.links()[back.back().index()].to, begin);
    }
  }
}

TEST_P(Routes, AreEmptyOnlyWhereNoLinkIsBetween) {
  const Cluster cluster = *Cluster::build(GetParam().spec);
  for (std::size_t a = 0; a < cluster.rank_count(); ++a) {
    for (std::size_t b = 0; b < cluster.rank_count(); ++b) {
      const bool share_a_vertex =
          a == b || (!cluster.spec().interconnect &&
                     cluster.node_of(RankId(a)) == cluster.node_of(RankId(b)));
      EXPECT_EQ(cluster.route(RankId(a), RankId(b)).empty(), share_a_vertex) << a << " to " << b;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Machines, Routes, ::testing::ValuesIn(machines()),
                         [](const auto& machine) { return std::string(machine.param.name); });

std::size_t hops(const Cluster& cluster, int from, int to) {
  return cluster.route(RankId(from), RankId(to)).size();
}

TEST(Route, HasTheHopsOfItsNetwork) {
  // Up to the node's switch and down.
  EXPECT_EQ(hops(*Cluster::build(with_interconnect(single_node(8))), 0, 7), 2u);
  // Node, switch, node; with an interconnect also from the device and to it.
  EXPECT_EQ(hops(*Cluster::build(crossbar(4)), 0, 3), 2u);
  EXPECT_EQ(hops(*Cluster::build(with_interconnect(crossbar(4, 2))), 0, 7), 4u);
  // Two devices of one node never leave it.
  EXPECT_EQ(hops(*Cluster::build(with_interconnect(crossbar(4, 2))), 6, 7), 2u);
  // Under one leaf; over a spine.
  const Cluster tree = *Cluster::build(fat_tree(8, 4, 1));
  EXPECT_EQ(hops(tree, 0, 3), 2u);
  EXPECT_EQ(hops(tree, 0, 4), 4u);
  EXPECT_EQ(hops(*Cluster::build(with_interconnect(fat_tree(8, 4, 1, 2))), 0, 15), 6u);
}

TEST(Route, CrossesTheSpineOfTheDestinationNode) {
  // 256 nodes, 16 under a leaf, 4:1: 4 uplinks of a leaf; node d is reached through spine d mod 4.
  const Cluster cluster = *Cluster::build(fat_tree(256, 16, 4));
  for (const auto& [from, to] : {std::pair{0, 17}, {0, 18}, {17, 0}, {0, 255}, {5, 200}}) {
    const Route route = cluster.route(RankId(from), RankId(to));
    ASSERT_EQ(route.size(), 4u);
    EXPECT_EQ(cluster.links()[route[1].index()].name,
              fmt::format("leaf{}->spine{}", from / 16, to % 4));
    EXPECT_EQ(cluster.links()[route[2].index()].name,
              fmt::format("spine{}->leaf{}", to % 4, to / 16));
  }
}

TEST(Route, ShiftPermutationsOfAFullTreeShareNoLink) {
  // What D-mod-k is for (Zahavi 2010): as many spines as nodes per leaf, every node sends to the
  // node k after it, and no two of these messages meet on a link, whichever k.
  const int nodes = 16;
  const Cluster cluster = *Cluster::build(fat_tree(nodes, 4, 1));
  for (int shift = 1; shift < nodes; ++shift) {
    std::map<LinkId, int> messages;
    for (int from = 0; from < nodes; ++from) {
      for (const LinkId link : cluster.route(RankId(from), RankId((from + shift) % nodes))) {
        EXPECT_EQ(++messages[link], 1) << cluster.links()[link.index()].name << ", shift " << shift;
      }
    }
  }
}

TEST(Route, SpreadsDestinationsEvenlyOverSpines) {
  // One node sends to all 12 outside its leaf, over 2 spines (4 nodes per leaf, 2:1): 6 each.
  const Cluster cluster = *Cluster::build(fat_tree(16, 4, 2));
  std::map<LinkId, int> messages;
  for (int to = 4; to < 16; ++to)
    ++messages[cluster.route(RankId(0), RankId(to))[1]];
  ASSERT_EQ(messages.size(), 2u);
  for (const auto& [link, count] : messages)
    EXPECT_EQ(count, 6);
}

}  // namespace
}  // namespace rehearse
