// The two routers against each other and an oracle of the rule, and how they choose.
#include "model/cluster/router.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <queue>
#include <set>

#include "model/base/random.h"
#include "tests/cluster/machines.h"

namespace rehearse {
namespace {

using testing::crossbar;
using testing::fat_tree;
using testing::kCable;
using testing::single_node;
using testing::with_interconnect;
using testing::with_nics;

std::string message(const ClusterSpec& spec) {
  const Result<Cluster> cluster = Cluster::build(spec);
  return cluster.ok() ? "" : cluster.errors().front().message;
}

// ---- tiers -------------------------------------------------------------------------------------

std::vector<ClusterSpec> random_trees() {
  Random random(7);
  std::vector<ClusterSpec> specs = {with_interconnect(single_node(8)),
                                    with_interconnect(crossbar(5, 3)),
                                    testing::example(NetworkKind::leaf_spine)};
  for (int i = 0; i < 30; ++i) {
    const auto number = [&](std::uint64_t most) {
      return static_cast<std::int64_t>(1 + random.below(most));
    };
    const ClusterSpec spec = fat_tree(number(20), number(6), 1 + 3 * random.uniform(), number(3));
    specs.push_back(i % 2 == 0 ? spec : with_interconnect(spec));
    if (i % 3 > 0) continue;
    ClusterSpec railed = with_nics(specs.back(), number(3));
    railed.nics->count = std::min(railed.nics->count, railed.devices_per_node);
    specs.push_back(railed);
    specs.push_back(railed);
    specs.back().network.kind = NetworkKind::rail;
  }
  return specs;
}

TEST(TierRouter, RoutesAsTheGraphRouterDoes) {
  for (const ClusterSpec& spec : random_trees()) {
    const auto wiring = *wire(spec);
    ASSERT_TRUE(wiring->is_tiered);
    for (const Routing routing : {Routing::shortest, Routing::ecmp}) {
      const auto tiers = tier_router(wiring, routing, 5), graph = graph_router(wiring, routing, 5);
      for (std::size_t a = 0; a < wiring->ranks.size(); ++a) {
        for (std::size_t b = 0; b < wiring->ranks.size(); ++b)
          ASSERT_EQ(tiers->route(RankId(a), RankId(b)), graph->route(RankId(a), RankId(b)))
              << a << " to " << b << " of " << spec.nodes << " nodes";
      }
    }
  }
}

// ---- any links ---------------------------------------------------------------------------------

// Nodes with and without switches and NICs inside, random links among them and four switches, many
// in one direction only.
ClusterSpec random_machine(std::uint64_t seed) {
  Random random(seed);
  ClusterSpec spec = crossbar(4, 2);
  if (random.below(2) == 0) spec = with_interconnect(spec);
  const bool has_nics = random.below(2) == 0;
  if (has_nics) spec = with_nics(spec, 2);
  if (spec.interconnect && has_nics && random.below(2) == 0)
    spec.interconnect_kind = InterconnectKind::ring;
  spec.network.kind = NetworkKind::custom;
  spec.network.switches = {"s0", "s1", "s2", "s3"};
  std::vector<std::string> ends = spec.network.switches;
  for (int port = 0; port < (has_nics ? 8 : 4); ++port)
    ends.push_back((has_nics ? "nic" : "node") + std::to_string(port));
  const auto cables = 8 + random.below(20);
  for (std::uint64_t l = 0; l < cables; ++l) {
    const std::string from = ends[random.below(ends.size())], to = ends[random.below(ends.size())];
    if (from == to) continue;
    const bool is_duplex = random.below(3) > 0;
    spec.network.links.push_back(
        {from, to, kCable, is_duplex ? std::optional(kCable) : std::nullopt});
  }
  return spec;
}

// Fewest links of a way on which a message leaves its node, passes only what forwards everything,
// and then stays in the destination's node; within one node it may be anywhere. Forwards, link by
// link, with how far the message is as part of where it is.
std::optional<std::size_t> fewest_links(const Wiring& wiring, RankId from, RankId to) {
  enum Stage { leaving, between, arrived };
  using State = std::pair<VertexId, Stage>;
  const Place &source = wiring.ranks[from.index()], &target = wiring.ranks[to.index()];
  std::map<State, std::size_t> links = {{{source.vertex, leaving}, 0}};
  std::queue<State> queue({{source.vertex, leaving}});
  while (!queue.empty()) {
    const auto [vertex, stage] = queue.front();
    queue.pop();
    const std::size_t so_far = links.at({vertex, stage});
    if (vertex == target.vertex) return so_far;
    const Vertex& here = wiring.vertices[vertex.index()];
    if (vertex != source.vertex && here.forwards == Forwards::nothing) continue;
    for (const Link& link : wiring.links) {
      if (link.from != vertex) continue;
      const Vertex& next = wiring.vertices[link.to.index()];
      Stage then = between;
      if (next.node == source.node && next.node) then = leaving;
      if (next.node == target.node && next.node) then = arrived;
      const bool is_own = next.node == source.node || next.node == target.node;
      if (next.node && !is_own) continue;  // nodes of these machines forward nothing of others
      const bool is_inside = source.node == target.node;
      if (!is_inside && then == leaving && stage != leaving) continue;
      if (!is_inside && stage == arrived && then != arrived) continue;
      if (links.emplace(State{link.to, then}, so_far + 1).second) queue.push({link.to, then});
    }
  }
  return std::nullopt;
}

TEST(GraphRouter, FindsFewestLinksThatAMessageMayTake) {
  std::size_t found = 0, missing = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto wiring = *wire(random_machine(seed));
    const auto router = graph_router(wiring, Routing::shortest, 0);
    for (std::size_t a = 0; a < wiring->ranks.size(); ++a) {
      for (std::size_t b = 0; b < wiring->ranks.size(); ++b) {
        const auto expected = fewest_links(*wiring, RankId(a), RankId(b));
        const auto route = router->route(RankId(a), RankId(b));
        ASSERT_EQ(router->reaches(RankId(a), RankId(b)), expected.has_value());
        ASSERT_EQ(route.has_value(), expected.has_value()) << a << " to " << b << ", " << seed;
        ++(route ? found : missing);
        if (!route) continue;
        ASSERT_EQ(route->size(), *expected) << a << " to " << b << ", seed " << seed;
        VertexId at = wiring->ranks[a].vertex;
        for (const LinkId link : *route) {
          ASSERT_EQ(wiring->links[link.index()].from, at);
          at = wiring->links[link.index()].to;
        }
        ASSERT_EQ(at, wiring->ranks[b].vertex);
      }
    }
  }
  EXPECT_GT(found, 500u) << "machines that are joined";
  EXPECT_GT(missing, 500u) << "and machines that are not";
}

TEST(Cluster, IsBuiltWhereAllReachAll) {
  int joined = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const ClusterSpec spec = random_machine(seed);
    const auto wiring = *wire(spec);
    bool all = true;
    for (std::size_t a = 0; a < wiring->ranks.size(); ++a) {
      for (std::size_t b = 0; b < wiring->ranks.size(); ++b)
        all = all && fewest_links(*wiring, RankId(a), RankId(b));
    }
    EXPECT_EQ(message(spec).empty(), all) << "seed " << seed << ": " << message(spec);
    joined += all ? 1 : 0;
  }
  EXPECT_GT(joined, 5);
  EXPECT_LT(joined, 55);
}

// The same machine with its nodes in another order, and its links listed backwards.
TEST(GraphRouter, RoutesAreAsLongUnderOtherNames) {
  const std::vector<std::size_t> renamed = {2, 0, 3, 1};
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    ClusterSpec spec = random_machine(seed);
    const std::string port = spec.nics ? "nic" : "node";
    const std::size_t per_node = spec.nics ? 2 : 1;
    const auto rename = [&](const std::string& name) {
      if (!name.starts_with(port)) return name;
      const std::size_t number = std::stoul(name.substr(port.size()));
      return port + std::to_string(renamed[number / per_node] * per_node + number % per_node);
    };
    const auto before = *wire(spec);
    auto& links = spec.network.links;
    std::reverse(links.begin(), links.end());
    for (CustomLink& link : links) {
      link.from = rename(link.from);
      link.to = rename(link.to);
    }
    const auto after = *wire(spec);
    const auto length = [](const auto& wiring, std::size_t a, std::size_t b) {
      const auto route = graph_router(wiring, Routing::ecmp, 5)->route(RankId(a), RankId(b));
      return route ? std::optional(route->size()) : std::nullopt;
    };
    const auto moved = [&](std::size_t rank) { return renamed[rank / 2] * 2 + rank % 2; };
    for (std::size_t a = 0; a < 8; ++a) {
      for (std::size_t b = 0; b < 8; ++b)
        ASSERT_EQ(length(before, a, b), length(after, moved(a), moved(b))) << "seed " << seed;
    }
  }
}

TEST(GraphRouter, DoesNotPassNodesOnTheWayToOthers) {
  // Both leaves share node 1, which has a NIC on each: the way from node 0 to node 2 is the longer
  // one by the spine.
  ClusterSpec spec = testing::custom(3, {"a", "b", "spine"},
                                     {{"node0", "a"},
                                      {"node1", "a"},
                                      {"node1", "b"},
                                      {"node2", "b"},
                                      {"a", "spine"},
                                      {"spine", "b"}});
  EXPECT_EQ(Cluster::build(spec)->route(RankId(0), RankId(2)).size(), 4u);
  EXPECT_EQ(Cluster::build(spec)->route(RankId(1), RankId(2)).size(), 2u);
  spec.network.nodes_forward = true;
  // a, node 1, b: as long, and the switch takes the way that the destination's number picks.
  EXPECT_EQ(Cluster::build(spec)->route(RankId(0), RankId(2)).size(), 4u);
}

// ---- ECMP --------------------------------------------------------------------------------------

ClusterSpec two_leaves(std::int64_t spines, std::uint64_t seed) {
  ClusterSpec spec = crossbar(32);
  spec.network.kind = NetworkKind::leaf_spine;
  spec.network.nodes_per_leaf = 16;
  spec.network.spines = spines;
  spec.network.routing = Routing::ecmp;
  spec.network.seed = seed;
  return spec;
}

// Of all pairs under different leaves, which spine (of the second link) each takes.
std::vector<std::size_t> spines_taken(const ClusterSpec& spec) {
  const Cluster cluster = *Cluster::build(spec);
  std::vector<std::size_t> taken;
  for (std::size_t a = 0; a < 32; ++a) {
    for (std::size_t b = 0; b < 32; ++b) {
      if (a / 16 == b / 16) continue;
      const Route route = cluster.route(RankId(a), RankId(b));
      EXPECT_EQ(route.size(), 4u);
      taken.push_back(cluster.links()[route[1].index()].to.index());
    }
  }
  return taken;
}

TEST(Ecmp, SpreadsPairsOverAllWays) {
  // 512 pairs over 4 spines: 128 each is expected. Of a fair draw, chi-square with 3 degrees of
  // freedom is above 21.1 once in 10,000 seeds (R: qchisq(0.9999, 3)); 20 seeds are tried.
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::map<std::size_t, double> counts;
    const auto taken = spines_taken(two_leaves(4, seed));
    ASSERT_EQ(taken.size(), 512u);
    for (const std::size_t spine : taken)
      ++counts[spine];
    EXPECT_EQ(counts.size(), 4u);
    double chi_square = 0;
    for (const auto& [spine, count] : counts)
      chi_square += (count - 128) * (count - 128) / 128;
    EXPECT_LT(chi_square, 21.1) << "seed " << seed;
  }
}

TEST(Ecmp, RepeatsWithItsSeedAndDiffersWithAnother) {
  EXPECT_EQ(spines_taken(two_leaves(4, 1)), spines_taken(two_leaves(4, 1)));
  EXPECT_NE(spines_taken(two_leaves(4, 1)), spines_taken(two_leaves(4, 2)));
  // Seeds are 64 bits.
  EXPECT_NE(spines_taken(two_leaves(4, 1)), spines_taken(two_leaves(4, 1 + (1ULL << 32U))));
}

TEST(Ecmp, ChoosesForEverySourceWhereShortestChoosesForEveryDestination) {
  ClusterSpec spec = two_leaves(4, 3);
  const auto spines_to_0 = [&] {
    const Cluster cluster = *Cluster::build(spec);
    std::set<LinkId> links;
    for (std::size_t a = 16; a < 32; ++a)
      links.insert(cluster.route(RankId(a), RankId(0))[2]);
    return links.size();
  };
  EXPECT_EQ(spines_to_0(), 4u);
  spec.network.routing = Routing::shortest;
  EXPECT_EQ(spines_to_0(), 1u);
}

// ---- static routes -----------------------------------------------------------------------------

ClusterSpec two_ways() {
  return testing::custom(
      3, {"a", "b", "c"},
      {{"node0", "a"}, {"node1", "b"}, {"node2", "c"}, {"a", "b"}, {"a", "c"}, {"c", "b"}});
}

TEST(StaticRoute, OverridesTheRuleInItsDirection) {
  ClusterSpec spec = two_ways();
  EXPECT_EQ(Cluster::build(spec)->route(RankId(0), RankId(1)).size(), 3u);
  spec.network.routes = {{"node0", "node1", {"a", "c", "b"}}};
  const Cluster cluster = *Cluster::build(spec);
  EXPECT_EQ(cluster.route(RankId(0), RankId(1)).size(), 4u);
  EXPECT_EQ(cluster.route(RankId(1), RankId(0)).size(), 3u);
  std::string names;
  for (const LinkId link : cluster.route(RankId(0), RankId(1)))
    names += cluster.links()[link.index()].name + " ";
  EXPECT_EQ(names, "node0->a a->c c->b b->node1 ");
}

TEST(StaticRoute, MayGoByADeviceOfItsEnds) {
  // To the other rail inside the own node, as NCCL's PXN does, instead of by a spine.
  ClusterSpec spec = testing::example(NetworkKind::rail);
  spec.network.routes = {
      {"device0", "device6", {"node0", "device2", "nic1", "rail1.leaf0", "nic3"}}};
  EXPECT_EQ(Cluster::build(spec)->route(RankId(0), RankId(6)).size(), 6u);
}

TEST(StaticRoute, IsRefusedWithBothEndsNamed) {
  const auto said = [](const StaticRoute& route) {
    ClusterSpec spec = two_ways();
    spec.network.routes = {route};
    return message(spec);
  };
  EXPECT_EQ(said({"node0", "node1", {"a", "nod1"}}),
            "route from node0 to node1: there is no vertex 'nod1'; did you mean 'node1'?");
  EXPECT_EQ(
      said({"node0", "node1", {"d"}}),
      "route from node0 to node1: there is no vertex 'd'; there are a, b, c, node0, node1, node2");
  EXPECT_EQ(said({"node0", "node1", {"b"}}),
            "route from node0 to node1: there is no link from node0 to b");
  EXPECT_EQ(said({"node0", "node1", {"a", "b", "c", "b"}}),
            "route from node0 to node1: it passes b twice, in a cycle");
  EXPECT_EQ(said({"node0", "a", {}}),
            "route from node0 to a: a is no end of a message, as 'node0' is");
  EXPECT_EQ(said({"node0", "node1", {"a", "c", "node2", "c", "b"}}),
            "route from node0 to node1: node2 does not forward messages of other nodes");
  ClusterSpec twice = two_ways();
  twice.network.routes = {{"node0", "node1", {"a", "b"}}, {"node0", "node1", {"a", "c", "b"}}};
  EXPECT_EQ(message(twice), "there are two routes from node0 to node1");
}

}  // namespace
}  // namespace rehearse
