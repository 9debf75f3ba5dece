// What is inside the nodes.
#include <gtest/gtest.h>

#include "model/cluster/cluster.h"
#include "tests/cluster/machines.h"

namespace rehearse {
namespace {

using testing::crossbar;
using testing::kNvlink;
using testing::single_node;
using testing::with_interconnect;
using testing::with_nics;

std::string message(const ClusterSpec& spec) {
  const Result<Cluster> cluster = Cluster::build(spec);
  return cluster.ok() ? "" : cluster.errors().front().message;
}

ClusterSpec joined(InterconnectKind kind, std::int64_t devices,
                   std::optional<std::int64_t> ports = std::nullopt) {
  ClusterSpec spec = with_interconnect(single_node(devices));
  spec.interconnect_kind = kind;
  spec.ports = ports;
  return spec;
}

double links_of(const ClusterSpec& spec) {
  return device_link(spec).bandwidth / kNvlink.bandwidth;
}

TEST(Interconnect, SharesPortsAmongTheDevicesTheyLeadTo) {
  // 18 ports: all to the switch; 2 to each of 7 others, 4 unused; 9 each way around.
  EXPECT_DOUBLE_EQ(links_of(joined(InterconnectKind::switched, 8, 18)), 18);
  EXPECT_DOUBLE_EQ(links_of(joined(InterconnectKind::mesh, 8, 18)), 2);
  EXPECT_DOUBLE_EQ(links_of(joined(InterconnectKind::ring, 8, 18)), 9);
  // Two devices have one neighbour each, in whatever way.
  EXPECT_DOUBLE_EQ(links_of(joined(InterconnectKind::mesh, 2, 18)), 18);
  EXPECT_DOUBLE_EQ(links_of(joined(InterconnectKind::ring, 2, 18)), 18);
  // Without a number of ports, there is one for each.
  EXPECT_DOUBLE_EQ(links_of(joined(InterconnectKind::mesh, 8)), 1);
  EXPECT_EQ(message(joined(InterconnectKind::mesh, 8, 6)),
            "a mesh of 8 devices takes 7 of each one's ports, which has 6");
}

TEST(Interconnect, HasTheHopsOfItsKind) {
  const auto hops = [](InterconnectKind kind, std::size_t from, std::size_t to) {
    return Cluster::build(joined(kind, 8))->route(RankId(from), RankId(to)).size();
  };
  for (std::size_t to = 1; to < 8; ++to) {
    EXPECT_EQ(hops(InterconnectKind::switched, 0, to), 2u);
    EXPECT_EQ(hops(InterconnectKind::mesh, 0, to), 1u);
    EXPECT_EQ(hops(InterconnectKind::ring, 0, to), std::min(to, 8 - to));
  }
  EXPECT_EQ(Cluster::build(joined(InterconnectKind::mesh, 8))->links().size(), 8u * 7);
  EXPECT_EQ(Cluster::build(joined(InterconnectKind::ring, 8))->links().size(), 8u * 2);
  EXPECT_EQ(Cluster::build(joined(InterconnectKind::ring, 2))->links().size(), 2u);
  EXPECT_EQ(Cluster::build(joined(InterconnectKind::ring, 1))->links().size(), 0u);
}

TEST(Interconnect, WithoutASwitchNeedsNicsForANetwork) {
  ClusterSpec spec = crossbar(2, 4);
  spec.interconnect = kNvlink;
  spec.interconnect_kind = InterconnectKind::mesh;
  EXPECT_EQ(message(spec),
            "devices in a mesh have no switch in common that a network could join: 'nics' are "
            "needed");
  EXPECT_EQ(message(with_nics(spec, 2)), "");
}

TEST(Nics, AreSharedByNeighbours) {
  // floor(3 d / 8): devices 0 1 2, 3 4 5, 6 7.
  const Cluster cluster = *Cluster::build(with_nics(with_interconnect(crossbar(2, 8)), 3));
  const std::vector<std::string> expected = {"nic3", "nic3", "nic3", "nic4",
                                             "nic4", "nic4", "nic5", "nic5"};
  for (std::size_t d = 0; d < 8; ++d) {
    const Route route = cluster.route(RankId(0), RankId(8 + d));
    ASSERT_EQ(route.size(), 4u) << "device, NIC, switch, NIC, device";
    EXPECT_EQ(cluster.vertices()[cluster.links()[route[2].index()].to.index()].name, expected[d]);
    EXPECT_EQ(cluster.links()[route[3].index()].bandwidth, testing::kPcie.bandwidth);
  }
  // Within the node by its switch; the NICs are no way from device to device that is shorter.
  const Route inside = cluster.route(RankId(0), RankId(1));
  EXPECT_EQ(cluster.links()[inside.front().index()].name, "device0->node0");
}

TEST(Nics, AreTheWayInsideANodeWithoutAnInterconnect) {
  const Cluster cluster = *Cluster::build(with_nics(crossbar(2, 4), 2));
  const auto passes = [&](std::size_t to) {
    const Route route = cluster.route(RankId(0), RankId(to));
    return cluster.links()[route.front().index()].name + " " + std::to_string(route.size());
  };
  EXPECT_EQ(passes(1), "device0->nic0 2");
  EXPECT_EQ(passes(2), "device0->nic0 4") << "by the network and back";
}

TEST(Nics, AreNotMoreThanDevicesAndLeadSomewhere) {
  EXPECT_EQ(message(with_nics(crossbar(2, 2), 3)),
            "3 NICs for 2 devices: each has one device or more");
  EXPECT_EQ(message(with_nics(single_node(2), 1)), "NICs lead to a network, and there is none");
  ClusterSpec spec = with_nics(crossbar(2, 2), 1);
  spec.nics->bus.bandwidth = {};
  EXPECT_EQ(message(spec), "the NICs' bus needs a bandwidth above 0");
}

}  // namespace
}  // namespace rehearse
