// How closely a plan is played: less of it, in the same time.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "tools/predict/predict.h"

namespace rehearse {
namespace {

// 16 nodes of four GPUs, with an adapter each, in rails.
Scenario rails(const std::string& simulation, const std::string& strategy,
               const std::string& network =
                   "{kind: rail, nodes_per_leaf: 4, link: {bandwidth: 100 "
                   "Gb/s, latency: 2 us}}",
               std::int64_t nics = 4) {
  const std::string text = fmt::format(
      "name: rails\n"
      "model: {{kind: gpt, layers: 8, width: 256, heads: 4, vocabulary: 512, sequence: 128, "
      "positions: 128, tied: false}}\n"
      "training: {{data: synthetic, batch: 128, optimizer: {{kind: adamw, lr: 0.001}}, dtype: "
      "bf16, "
      "steps: 3}}\n"
      "cluster:\n"
      "  device: h100-sxm-80gb\n"
      "  nodes: 16\n"
      "  devices_per_node: 4\n"
      "  interconnect: {{bandwidth: 300 GB/s, latency: 1 us}}\n"
      "  nics: {{count: {}, bus: {{bandwidth: 50 GB/s, latency: 1 us}}}}\n"
      "  network: {}\n"
      "simulation: {{collectives: fluid{}}}\n"
      "strategies: [{{name: one, {}}}]\n",
      nics, network, simulation, strategy);
  return parse_scenario(text, "rails.yaml", profile_path("rails.yaml")).value();
}

StrategySummary predicted(const Scenario& scenario) {
  return predict(scenario, scenario.strategies.front()).value().summary;
}

constexpr auto kMegatron =
    "data: auto, tensor: 4, pipeline: {stages: 4, schedule: 1f1b, micro_batches: 8}";

// Of messages between stages.
std::string shares(std::string strategy, const std::string& exchange) {
  return strategy.insert(strategy.find("stages:"),
                         fmt::format("scatter_gather: true, exchange: {}, ", exchange));
}

void expect_same_times(const StrategySummary& a, const StrategySummary& b) {
  const double step = b.step_time.seconds(), near = 1e-6 * step;
  ASSERT_GT(b.exposed_communication.seconds(), 0.02 * step) << "exchanges that would be missed";
  EXPECT_NEAR(a.bubble_fraction, b.bubble_fraction, 1e-6);
  ASSERT_EQ(a.ranks.size(), b.ranks.size());
  for (std::size_t r = 0; r < b.ranks.size(); ++r) {
    EXPECT_NEAR(a.ranks[r].compute.seconds(), b.ranks[r].compute.seconds(), near) << r;
    EXPECT_NEAR(a.ranks[r].exposed_communication.seconds(),
                b.ranks[r].exposed_communication.seconds(), near)
        << r;
    EXPECT_NEAR(a.ranks[r].idle.seconds(), b.ranks[r].idle.seconds(), near) << r;
  }
  ASSERT_EQ(a.kinds.size(), b.kinds.size());
  for (std::size_t k = 0; k < b.kinds.size(); ++k) {
    EXPECT_EQ(a.kinds[k].kind, b.kinds[k].kind);
    EXPECT_NEAR(a.kinds[k].busy.seconds(), b.kinds[k].busy.seconds(), near)
        << to_string(b.kinds[k].kind);
    // Passes that are one op are fewer.
    const bool may_be_fewer = !is_communication(b.kinds[k].kind);
    EXPECT_TRUE(may_be_fewer || a.kinds[k].ops == b.kinds[k].ops) << to_string(b.kinds[k].kind);
  }
}

// Exchanges inside a node find their links and their lane idle (where a block is run again, the
// last of its exchanges is in the way of backward's first): as a part of their passes they take as
// long, but for the rounding of each part's end to a picosecond, and they count as communication
// all the same. Bytes of links are the same.
TEST(Block, TakesAsLongAsSegments) {
  for (const std::string& strategy :
       {std::string(kMegatron), shares(kMegatron, "batched"), std::string("data: auto, tensor: 4"),
        std::string("data: auto, tensor: {ranks: 2, sequence_parallel: true}")}) {
    const StrategySummary all = predicted(rails("", strategy));
    const StrategySummary block = predicted(rails(", detail: block", strategy));
    EXPECT_NEAR(block.step_time / all.step_time, 1, 1e-7) << strategy;
    expect_same_times(block, all);
    EXPECT_EQ(block.plan_hash, all.plan_hash);
    ASSERT_EQ(block.links.size(), all.links.size());
    for (std::size_t l = 0; l < all.links.size(); ++l)
      EXPECT_EQ(block.links[l].bytes, all.links[l].bytes) << all.links[l].name;
  }
}

// What a rank gathers beside a pass stands after the last exchange in it, and as one op after all
// of it: a little later.
TEST(Block, HasGathersOfSharesAfterThePassBefore) {
  const std::string strategy = shares(kMegatron, "overlapped");
  const Seconds all = predicted(rails("", strategy)).step_time;
  const Seconds block = predicted(rails(", detail: block", strategy)).step_time;
  EXPECT_GE(block / all, 1 - 1e-7);
  EXPECT_LT(block / all, 1.02);
}

// Replicas of four nodes under a leaf of their own, and of four nodes anywhere in rails that do not
// block: one takes as long as all, and all links carry the same.
TEST(FirstReplica, TakesAsLongAsAll) {
  for (const auto* detail : {"", ", detail: block"}) {
    for (const std::string& strategy :
         {std::string(kMegatron), shares(kMegatron, "batched"),
          std::string("data: {ranks: auto, zero: 1}, tensor: 4"),
          std::string("data: auto, pipeline: {stages: 4, schedule: 1f1b, micro_batches: 8}")}) {
      const StrategySummary all = predicted(rails(detail, strategy));
      const StrategySummary first =
          predicted(rails(std::string(detail) + ", replicas: first", strategy));
      EXPECT_NEAR(first.step_time / all.step_time, 1, 1e-9) << strategy;
      EXPECT_EQ(first.ranks.size(), 64U);
      ASSERT_EQ(first.links.size(), all.links.size());
      for (std::size_t l = 0; l < all.links.size(); ++l)
        EXPECT_EQ(first.links[l].bytes, all.links[l].bytes) << all.links[l].name;
      for (std::size_t r = 0; r < 64; ++r)
        EXPECT_NEAR(first.ranks[r].compute / all.ranks[r].compute, 1, 1e-9) << r;
      for (std::size_t k = 0; k < all.kinds.size(); ++k)
        EXPECT_EQ(first.kinds[k].ops, all.kinds[k].ops);
    }
  }
}

std::string refusal(const Scenario& scenario) {
  const auto prediction = predict(scenario, scenario.strategies.front());
  return prediction.ok() ? "" : prediction.errors().front().message;
}

TEST(FirstReplica, SaysWhyItCannotStandForAll) {
  const std::string first = ", replicas: first";
  Scenario stepwise = rails(first, kMegatron);
  stepwise.simulation.collectives = Fidelity::stepwise;
  EXPECT_EQ(refusal(stepwise),
            "one replica cannot stand for all: its collectives with the others are played as a "
            "whole, so 'simulation' needs collectives: fluid or closed-form");
  // A stage in the middle sends from one rail to the next, over spines that all-reduces use
  // unevenly.
  EXPECT_EQ(
      refusal(rails(first, "data: auto, pipeline: {stages: 8, schedule: 1f1b, micro_batches: 8}")),
      "one replica cannot stand for all: collectives between replicas need "
      "rail0.leaf0->spine0 and rail0.leaf0->spine2 differently");
  // Leaves of three nodes, replicas of four: messages that cross leaves are others in each.
  EXPECT_EQ(
      refusal(rails(first, kMegatron,
                    "{kind: rail, nodes_per_leaf: 3, link: {bandwidth: 100 Gb/s, latency: 2 us}}")),
      "one replica cannot stand for all: rank 0 sends to rank 4 by 4 links, rank 32 to rank 36 "
      "by 6");
}

TEST(FirstReplica, IsTakenAutomaticallyWhereItCanStandForAll) {
  const auto ops = [](const std::string& replicas, const std::string& strategy) {
    const Scenario scenario = rails(", replicas: " + replicas, strategy);
    return predict(scenario, scenario.strategies.front()).value();
  };
  const Prediction first = ops("first", kMegatron), automatic = ops("auto", kMegatron);
  EXPECT_EQ(automatic.plan.ranks.size(), first.plan.ranks.size());
  EXPECT_EQ(automatic.summary.step_time, first.summary.step_time);
  const std::string others = "data: auto, pipeline: {stages: 8, schedule: 1f1b, micro_batches: 8}";
  const Prediction all = ops("all", others), instead = ops("auto", others);
  EXPECT_EQ(instead.plan.ranks.size(), 64U);
  EXPECT_EQ(instead.summary.step_time, all.summary.step_time);
}

}  // namespace
}  // namespace rehearse
