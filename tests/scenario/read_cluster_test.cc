// What the keys of a cluster become.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/scenario/files.h"

namespace rehearse {
namespace {

// A scenario whose cluster's section has these lines, beside its device.
std::string scenario_of(const std::string& lines) {
  return fmt::format(
      "name: cluster\nmodel: {{kind: resnet20, image: 28x28x1, classes: 10}}\n"
      "training: {{data: synthetic, batch: 256, optimizer: {{kind: sgd, lr: 0.1}}, steps: 10}}\n"
      "cluster:\n  device: tiny\n{}strategies:\n  - {{name: ddp, data: auto}}\n",
      lines);
}

ClusterSpec cluster_of(const std::string& lines) {
  const Result<Scenario> scenario = parse_scenario(
      scenario_of(lines), (testing::kHere / "cluster.yaml").string(), testing::test_profiles());
  EXPECT_TRUE(scenario.ok()) << (scenario.ok() ? "" : format(scenario.errors()));
  return scenario.ok() ? scenario->cluster : ClusterSpec{};
}

LinkSpec link(double gigabytes_per_second, double microseconds) {
  return {BytesPerSecond::gigabytes_per_second(gigabytes_per_second),
          Seconds::microseconds(microseconds)};
}

constexpr const char* kLink = "link: {bandwidth: 10 GB/s, latency: 1 us}";

// Lines of eight nodes (one, where there is no network) joined by a network of the kind.
std::string lines_of(NetworkKind kind) {
  const auto network = [&](const std::string& more) {
    return fmt::format("  nodes: 8\n  network: {{kind: {}, {}{}}}\n", to_string(kind), kLink, more);
  };
  switch (kind) {
    case NetworkKind::none:
      return "  network: {kind: none}\n";
    case NetworkKind::crossbar:
    case NetworkKind::full_mesh:
    case NetworkKind::ring:
      return network("");
    case NetworkKind::custom:
      return "  nodes: 1\n  network: {kind: custom, links: []}\n";
    case NetworkKind::dragonfly:
      return network(", routers_per_group: 2, nodes_per_router: 1, global_links: 3");
    case NetworkKind::fat_tree:
    case NetworkKind::rail:
      return network(", nodes_per_leaf: 4, oversubscription: 2");
    case NetworkKind::leaf_spine:
      return network(", nodes_per_leaf: 4, spines: 2");
    case NetworkKind::torus:
      return network(", dims: [4, 2]");
  }
  REHEARSE_UNREACHABLE("network kind");
}

class EveryKind : public ::testing::TestWithParam<NetworkKindRow> {};

TEST_P(EveryKind, IsReadAndBuilds) {
  const ClusterSpec spec = cluster_of(lines_of(GetParam().kind));
  EXPECT_EQ(spec.network.kind, GetParam().kind);
  EXPECT_TRUE(Cluster::build(spec).ok());
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryKind, ::testing::ValuesIn(network_kinds()),
                         [](const auto& row) {
                           return testing::test_name(std::string(to_string(row.param.kind)));
                         });

TEST(ReadCluster, NodesWithPortsAndNics) {
  const ClusterSpec spec = cluster_of(
      "  nodes: 2\n  devices_per_node: 4\n"
      "  interconnect: {kind: ring, ports: 6, bandwidth: 25 GB/s, latency: 2 us}\n"
      "  nics: {count: 2, bus: {bandwidth: 50 GB/s, latency: 0.5 us}}\n"
      "  network: {kind: rail, link: {bandwidth: 10 GB/s, latency: 1 us}}\n");
  EXPECT_EQ(spec.interconnect_kind, InterconnectKind::ring);
  EXPECT_EQ(spec.ports, 6);
  EXPECT_EQ(spec.interconnect, link(25, 2));
  EXPECT_EQ(spec.nics->count, 2);
  EXPECT_EQ(spec.nics->bus, link(50, 0.5));
}

TEST(ReadCluster, RatesOfKernelsInPlaceOfTheProfiles) {
  const std::string nodes = "  nodes: 1\n";
  const Device plain = cluster_of(nodes).device;
  const Device other = cluster_of(nodes +
                                  "  kernels: {attention: {compute: 79 TFLOP/s, provenance: "
                                  "published}, optimizer: {memory: 1 GB/s, overhead: 9 us, "
                                  "provenance: measured}}\n")
                           .device;
  for (int k = 0; k < kKernelClassCount; ++k) {
    const auto kernel = static_cast<KernelClass>(k);
    const KernelRate &before = rate_of(plain, kernel), &after = rate_of(other, kernel);
    const bool is_attention = kernel == KernelClass::attention,
               is_optimizer = kernel == KernelClass::optimizer;
    EXPECT_EQ(after.compute.flops_per_second(),
              is_attention ? 79e12 : before.compute.flops_per_second());
    EXPECT_EQ(after.memory.bytes_per_second(),
              is_optimizer ? 1e9 : before.memory.bytes_per_second());
    EXPECT_EQ(after.overhead.seconds(), is_optimizer ? 9e-6 : before.overhead.seconds());
    EXPECT_EQ(provenance_of(other, kernel), is_attention   ? Provenance::published
                                            : is_optimizer ? Provenance::measured
                                                           : provenance_of(plain, kernel));
  }
}

TEST(ReadCluster, ARateThatStaysIsFromWhereTheProfileHasIt) {
  const Device device = cluster_of(
                            "  nodes: 1\n"
                            "  kernels: {matrix_product: {overhead: 2 us, provenance: measured}, "
                            "attention: {memory: 1 GB/s, provenance: measured}, "
                            "copy: {compute: 1 TFLOP/s, provenance: measured}, "
                            "optimizer: {memory: 1 GB/s, provenance: measured}}\n")
                            .device;
  const auto is_measured = [&](KernelClass kernel) {
    return provenance_of(device, kernel) == Provenance::measured;
  };
  EXPECT_EQ(rate_of(device, KernelClass::matrix_product).overhead.seconds(), 2e-6);
  EXPECT_FALSE(is_measured(KernelClass::matrix_product));
  EXPECT_FALSE(is_measured(KernelClass::attention));
  EXPECT_FALSE(is_measured(KernelClass::copy));
  EXPECT_TRUE(is_measured(KernelClass::optimizer));
}

TEST(ReadCluster, RatesOfKernelsAreOfTheDeviceThatTheFileNames) {
  const auto path =
      std::filesystem::path(::testing::TempDir()) / fmt::format("kernels_{}.yaml", ::getpid());
  const auto attention_of = [&](const std::optional<std::string>& profile) {
    const Result<Scenario> scenario =
        read_scenario(path.string(), testing::test_profiles(), profile);
    EXPECT_TRUE(scenario.ok()) << (scenario.ok() ? "" : format(scenario.errors()));
    return rate_of(scenario->cluster.device, KernelClass::attention);
  };
  const auto write = [&](const std::string& rate) {
    std::ofstream(path) << scenario_of(fmt::format("  kernels: {{attention: {}}}\n", rate));
  };
  const std::string tiny = (testing::kHere / "devices" / "tiny.yaml").string();
  write("{compute: 79 TFLOP/s, provenance: published}");
  EXPECT_EQ(attention_of({}).compute.flops_per_second(), 79e12);
  const KernelRate replaced = attention_of(tiny);
  EXPECT_NE(replaced.compute.flops_per_second(), 79e12);
  EXPECT_FALSE(replaced.provenance.has_value());
  write("{compute: 79 TFLOP, provenance: published}");
  EXPECT_FALSE(read_scenario(path.string(), testing::test_profiles(), tiny).ok());
  std::filesystem::remove(path);
}

TEST(ReadCluster, RatesOfKernelsAreOfTheClustersDeviceAlone) {
  const ClusterSpec spec = cluster_of(
      "  nodes: 2\n  network: {kind: ring, link: {bandwidth: 10 GB/s, latency: 1 us}}\n"
      "  ranks: [{ranks: 1, device: tiny}]\n"
      "  kernels: {copy: {memory: 1 GB/s, provenance: assumed}}\n");
  ASSERT_TRUE(spec.ranks.at(0).device.has_value());
  EXPECT_EQ(rate_of(spec.device, KernelClass::copy).memory.bytes_per_second(), 1e9);
  EXPECT_EQ(rate_of(*spec.ranks.at(0).device, KernelClass::copy).memory.bytes_per_second(), 9e9);
}

TEST(ReadCluster, LinksOfItsKinds) {
  const ClusterSpec leaves = cluster_of(
      "  nodes: 8\n  network: {kind: leaf-spine, link: {bandwidth: 10 GB/s, latency: 1 us}, "
      "spines: 3, uplink: {bandwidth: 40 GB/s, latency: 2 us}}\n");
  EXPECT_EQ(leaves.network.spines, 3);
  EXPECT_EQ(leaves.network.uplink, link(40, 2));
  const ClusterSpec groups = cluster_of(
      "  nodes: 8\n  network: {kind: dragonfly, link: {bandwidth: 10 GB/s, latency: 1 us}, "
      "routers_per_group: 2, nodes_per_router: 1, global_links: 3, "
      "local: {bandwidth: 20 GB/s, latency: 2 us}, global: {bandwidth: 5 GB/s, latency: 9 us}}\n");
  EXPECT_EQ(groups.network.routers_per_group, 2);
  EXPECT_EQ(groups.network.nodes_per_router, 1);
  EXPECT_EQ(groups.network.global_links, 3);
  EXPECT_EQ(groups.network.local, link(20, 2));
  EXPECT_EQ(groups.network.global, link(5, 9));
}

TEST(ReadCluster, CustomLinksDifferFromTheDefault) {
  const auto& links = cluster_of(
                          "  nodes: 2\n  network:\n    kind: custom\n"
                          "    link: {bandwidth: 10 GB/s, latency: 1 us}\n"
                          "    switches: [a]\n    links:\n"
                          "      - {from: node0, to: a}\n"
                          "      - {from: a, to: node1, latency: 2 us, back: {bandwidth: 5 GB/s}}\n"
                          "      - {from: node1, to: a, bandwidth: 1 GB/s, duplex: false}\n")
                          .network.links;
  ASSERT_EQ(links.size(), 3u);
  EXPECT_EQ(links[0].link, link(10, 1));
  EXPECT_EQ(links[0].back, link(10, 1));
  EXPECT_EQ(links[1].link, link(10, 2));
  EXPECT_EQ(links[1].back, link(5, 2)) << "what it does not say is as on the way there";
  EXPECT_EQ(links[2].link, link(1, 1));
  EXPECT_EQ(links[2].back, std::nullopt);
}

TEST(ReadCluster, Routing) {
  const auto routing = [](const std::string& text) {
    return cluster_of(fmt::format("  nodes: 2\n  network: {{kind: ring, {}{}}}\n", kLink, text))
        .network;
  };
  EXPECT_EQ(routing("").routing, Routing::shortest);
  EXPECT_EQ(routing(", routing: ecmp").routing, Routing::ecmp);
  EXPECT_EQ(routing(", routing: {kind: ecmp, seed: 9}").seed, 9u);
  const auto routes = routing(", routes: [{from: node0, to: node1, via: []}]").routes;
  ASSERT_EQ(routes.size(), 1u);
  EXPECT_EQ(routes[0].from + routes[0].to, "node0node1");
}

TEST(ReadCluster, Exceptions) {
  const ClusterSpec spec = cluster_of(
      "  nodes: 8\n  network: {kind: crossbar, link: {bandwidth: 10 GB/s, latency: 1 us}}\n"
      "  links:\n    - {link: node0--switch, bandwidth: 1 GB/s}\n"
      "    - {link: switch->node1, latency: 9 us, efficiency: [[64 KiB, 0.3], [1 MiB, 1]]}\n"
      "  ranks:\n    - {ranks: 3, speed: 0.8}\n    - {ranks: [0, 4-6], device: tiny}\n");
  ASSERT_EQ(spec.links.size(), 2u);
  EXPECT_EQ(spec.links[0].bandwidth, BytesPerSecond::gigabytes_per_second(1));
  EXPECT_EQ(spec.links[0].latency, std::nullopt);
  EXPECT_EQ(spec.links[1].latency, Seconds::microseconds(9));
  const std::vector<EfficiencyPoint> curve = {{Bytes::kib(64), 0.3}, {Bytes::mib(1), 1}};
  EXPECT_EQ(spec.links[1].efficiency, curve);
  ASSERT_EQ(spec.ranks.size(), 2u);
  EXPECT_EQ(spec.ranks[0].speed, 0.8);
  EXPECT_EQ(spec.ranks[0].ranks, std::vector{RankId(3)});
  EXPECT_EQ(spec.ranks[1].ranks, (std::vector{RankId(0), RankId(4), RankId(5), RankId(6)}));
  EXPECT_EQ(spec.ranks[1].device->name, "tiny");
}

}  // namespace
}  // namespace rehearse
