#include "tools/predict/explain.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>

namespace rehearse {
namespace {

Explained explained(const std::string& cluster, const std::string& strategy,
                    const std::string& hidden = "1024, 1024") {
  const std::string text = fmt::format(
      "name: links\n"
      "model: {{kind: mlp, image: 32x32x1, hidden: [{}], classes: 10}}\n"
      "training: {{data: synthetic, batch: 256, optimizer: {{kind: sgd, lr: 0.1}}, dtype: fp32, "
      "steps: 10}}\n"
      "cluster: {{device: a100-sxm-80gb, {}}}\n"
      "strategies: [{{name: one, {}}}]\n",
      hidden, cluster, strategy);
  const Scenario scenario = parse_scenario(text, "links.yaml", profile_path("links.yaml")).value();
  return explain(scenario, scenario.strategies.front()).value();
}

const WhatIf& what_if(const Explained& explained, const std::string& change) {
  const auto& all = explained.explanation.what_ifs;
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const WhatIf& what) { return what.change == change; });
  EXPECT_NE(found, all.end()) << change;
  return *found;
}

// Four groups of two replicas share the one cable between two leaves: each link of a node carries a
// quarter of what that one does.
TEST(Explain, NamesTheLinkThatIsShared) {
  const Explained found = explained(
      "nodes: 8, network: {kind: leaf-spine, nodes_per_leaf: 4, spines: 1, link: {bandwidth: 1 "
      "GB/s, latency: 0 us}}",
      "data: auto, bucket: 1 GiB, pipeline: {stages: 4, schedule: gpipe, micro_batches: 1}",
      "1024, 1024, 1024, 1024");
  const Explanation& e = found.explanation;
  std::size_t named = 0;
  for (const GroupTraffic& group : e.groups) {
    if (!group.binding || group.bytes < Bytes::mib(4)) continue;
    const std::string& name = found.cluster.links()[group.binding->link.index()].name;
    EXPECT_NE(name.find("spine"), std::string::npos) << name;
    ++named;
  }
  EXPECT_GE(named, 2U);
  const WhatIf &shared = what_if(found, "bandwidth of leaf*--spine*"),
               &own = what_if(found, "bandwidth of leaf*--node*");
  EXPECT_LT(shared.by_path, own.by_path);
  EXPECT_LT(shared.simulated, own.simulated);
  EXPECT_NEAR(shared.by_path / shared.simulated, 1, 0.15);
}

// Activations take 10 ms to the second stage, gradients a microsecond back.
TEST(Explain, CountsTheLatencyOfTheWayAMessageTakes) {
  const Explained found = explained(
      "nodes: 2, network: {kind: custom, link: {bandwidth: 100 GB/s, latency: 1 us}, links: "
      "[{from: node0, to: node1, latency: 10 ms, back: {latency: 1 us}}]}",
      "pipeline: {stages: 2, schedule: gpipe, micro_batches: 4}");
  const WhatIf& latency = what_if(found, "latency of all links");
  EXPECT_NEAR(latency.by_path / latency.simulated, 1, 0.02);
  EXPECT_LT(latency.simulated / found.explanation.step_time, 0.6);
}

// A cable between two groups is of another class than one within a group.
TEST(Explain, TellsGlobalCablesFromLocalOnes) {
  const Explained found = explained(
      "nodes: 8, network: {kind: dragonfly, routers_per_group: 2, nodes_per_router: 2, "
      "global_links: 1, link: {bandwidth: 1 GB/s, latency: 1 us}, global: {bandwidth: 500 MB/s, "
      "latency: 5 us}}",
      "data: auto");
  std::vector<std::string> names;
  for (const LinkClass& links : found.explanation.links)
    names.push_back(links.name);
  EXPECT_EQ(std::count(names.begin(), names.end(), "group*.router*--group*.router*"), 1);
  EXPECT_EQ(std::count(names.begin(), names.end(), "group*.router*--other group*.router*"), 1);
}

// The algorithm that `auto` takes is, played message by message, at most a fifth slower than
// any other that could have been asked for.
TEST(Collectives, ChosenByThemselvesAreTheFastest) {
  for (const auto* cluster :
       {"nodes: 48, network: {kind: crossbar, link: {bandwidth: 1 GB/s, latency: 50 us}}",
        "nodes: 12, network: {kind: crossbar, link: {bandwidth: 1 GB/s, latency: 500 us}}",
        "nodes: 24, network: {kind: fat-tree, nodes_per_leaf: 8, link: {bandwidth: 1 GB/s, "
        "latency: 20 us}}"}) {
    const auto time_of = [&](const std::string& name) {
      const std::string text = fmt::format(
          "name: collectives\n"
          "model: {{kind: mlp, image: 32x32x1, hidden: [512], classes: 10}}\n"
          "training: {{data: synthetic, batch: 48, optimizer: {{kind: sgd, lr: 0.1}}, dtype: fp32, "
          "steps: 10}}\n"
          "cluster: {{device: a100-sxm-80gb, {}}}\n"
          "strategies: [{{name: one, data: auto, bucket: 1 GiB, collectives: {}}}]\n",
          cluster, name);
      const Scenario scenario = parse_scenario(text, "c.yaml", profile_path("c.yaml")).value();
      return predict(scenario, scenario.strategies.front()).value().summary.step_time.seconds();
    };
    const double chosen = time_of("auto");
    for (const auto* name :
         {"ring", "bidirectional-ring", "double-tree", "doubling", "halving-doubling"})
      EXPECT_LE(chosen, 1.2 * time_of(name)) << name << " on " << cluster;
  }
}

}  // namespace
}  // namespace rehearse
