// Estimates in closed form against simulations of the same strategies, drawn at random.
#include "cost/closed_form/estimate_tables.h"
#include "cost/closed_form/estimator.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/tools/estimate/drawn.h"
#include "tools/predict/predict.h"

namespace rehearse {
namespace {

constexpr std::int64_t kDevices = 8;

// Networks on which nobody meets anybody: every GPU has a way of its own.
const std::vector<std::string>& machines() {
  static const std::vector<std::string> all = {
      "  nodes: 1\n  devices_per_node: 8\n"
      "  interconnect: {bandwidth: 370 GB/s, latency: 3 us}\n",
      "  nodes: 8\n  devices_per_node: 1\n"
      "  network: {kind: crossbar, link: {bandwidth: 200 Gb/s, latency: 5 us}}\n",
      "  nodes: 2\n  devices_per_node: 4\n"
      "  interconnect: {bandwidth: 300 GB/s, latency: 2 us}\n"
      "  nics: {count: 4, bus: {bandwidth: 50 GB/s, latency: 1 us}}\n"
      "  network: {kind: rail, nodes_per_leaf: 2, link: {bandwidth: 400 Gb/s, latency: 2 us}}\n"};
  return all;
}

// ... and on which they meet: a node's ranks on its link, nodes on an uplink of their leaf switch.
const std::vector<std::string>& crowded_machines() {
  static const std::vector<std::string> all = {
      "  nodes: 8\n  devices_per_node: 1\n"
      "  network: {kind: fat-tree, nodes_per_leaf: 2, oversubscription: 4, link: {bandwidth: 100 "
      "Gb/s, latency: 5 us}}\n",
      "  nodes: 4\n  devices_per_node: 2\n"
      "  interconnect: {bandwidth: 300 GB/s, latency: 2 us}\n"
      "  network: {kind: fat-tree, nodes_per_leaf: 2, oversubscription: 2, link: {bandwidth: 25 "
      "Gb/s, latency: 2 us}}\n",
      "  nodes: 2\n  devices_per_node: 4\n"
      "  interconnect: {bandwidth: 300 GB/s, latency: 2 us}\n"
      "  network: {kind: crossbar, link: {bandwidth: 100 Gb/s, latency: 5 us}}\n",
      "  nodes: 8\n  devices_per_node: 1\n"
      "  network: {kind: crossbar, link: {bandwidth: 25 Gb/s, latency: 5 us}}\n"};
  return all;
}

std::string strategy_text(Random& random, std::int64_t& batch) {
  const std::int64_t tensor = any_of<std::int64_t>(random, {1, 1, 2, 4, 8});
  const std::int64_t pipeline = any_of<std::int64_t>(random, {1, 2, 4, 8, kDevices / tensor});
  const std::int64_t stages = std::min(pipeline, kDevices / tensor);
  const std::int64_t data = kDevices / tensor / stages;
  const std::int64_t micro_batches = any_of<std::int64_t>(random, {1, 2, 4, 7, 8, 16, 40});
  const auto schedule =
      any_of<std::string>(random, {"1f1b", "1f1b", "gpipe", "interleaved", "zb-h1", "zb-h2"});
  const bool interleaves = schedule == "interleaved" && stages > 1 && stages <= 4;
  const std::int64_t count =
      interleaves ? (micro_batches + stages - 1) / stages * stages : micro_batches;
  batch = data * count * any_of<std::int64_t>(random, {1, 2, 3});
  std::string text =
      fmt::format("data: {{ranks: {}, zero: {}}}", data,
                  data > 1 ? random.below(stages == 1 && schedule == "1f1b" ? 4 : 2) : 0);
  if (tensor > 1)
    text += fmt::format(", tensor: {{ranks: {}, sequence_parallel: {}}}", tensor,
                        random.below(2) == 0 ? "true" : "false");
  if (stages > 1 || random.below(2) == 0) {
    text += fmt::format(", pipeline: {{stages: {}, schedule: {}, micro_batches: {}{}}}", stages,
                        interleaves                 ? "interleaved"
                        : schedule == "interleaved" ? "1f1b"
                                                    : schedule,
                        count, interleaves ? ", chunks: 2" : "");
  } else {
    text += fmt::format(", micro_batches: {}", count);
  }
  text +=
      fmt::format(", recompute: {}", any_of<std::string>(random, {"none", "selective", "full"}));
  text += fmt::format(", bucket: {} KiB", any_of<int>(random, {64, 500, 25600}));
  return text;
}

std::string scenario_text(Random& random, const std::string& model, std::int64_t batch,
                          const std::string& strategy) {
  return scenario_text(random, model, batch, strategy, machines());
}

std::string draw(Random& random) {
  std::int64_t batch = 1;
  const std::string strategy = strategy_text(random, batch);
  return scenario_text(random, model_text(random), batch, strategy);
}

// What replicas have in common with data parallelism: pipelines, tensor parallelism, and the rest.
std::string replica_text(Random& random, std::int64_t ranks, bool slices, std::int64_t& batch) {
  const std::int64_t tensor =
      slices ? any_of<std::int64_t>(random, {1, 1, 2, ranks > 2 ? ranks / 2 : 1}) : 1;
  const std::int64_t left = tensor > ranks ? 1 : ranks / tensor;
  const std::int64_t stages = any_of<std::int64_t>(random, {1, 1, left});
  const std::int64_t data = left / stages;
  const std::int64_t micro_batches = any_of<std::int64_t>(random, {1, 2, 3, 8});
  batch *= data * micro_batches * any_of<std::int64_t>(random, {1, 2, 3});
  std::string text = fmt::format("data: {}, recompute: {}, bucket: {} KiB", data,
                                 any_of<std::string>(random, {"none", "none", "selective", "full"}),
                                 any_of<int>(random, {64, 500, 2000, 25600}));
  if (tensor > 1 && tensor <= ranks)
    text += fmt::format(", tensor: {{ranks: {}, sequence_parallel: {}}}", tensor,
                        random.below(2) == 0 ? "true" : "false");
  if (stages > 1) {
    text += fmt::format(", pipeline: {{stages: {}, schedule: {}, micro_batches: {}}}", stages,
                        any_of<std::string>(random, {"1f1b", "gpipe", "zb-h1"}), micro_batches);
  } else {
    text += fmt::format(", micro_batches: {}", micro_batches);
  }
  return text;
}

std::string subnetwork_text(Random& random, std::int64_t& batch) {
  const auto workers = any_of<std::int64_t>(random, {2, 4, 4, 8, 8});
  const bool by_width = random.below(3) == 0;
  const std::int64_t holders =
      1 + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(workers)));
  const bool backward = random.below(3) == 0;
  batch = workers;
  std::string text = replica_text(random, kDevices / workers, !by_width, batch);
  if (random.below(3) == 0) {
    const auto at = text.find(", ");
    text = fmt::format("data: {{ranks: {}, zero: 1}}{}", text.substr(6, at - 6), text.substr(at));
  }
  if (random.below(8) == 0) text += ", overlap: false";
  text += fmt::format(
      ", subnetwork: {{workers: {}, holders: {}, construction: {}, masking: {}, scaling: {}, "
      "balance: {}}}",
      workers, holders, by_width ? "width" : "block", backward ? "backward" : "forward",
      any_of<std::string>(random, {"at-test", "in-training"}),
      any_of<std::string>(random, {"flops", "parameters", "saved"}));
  return text;
}

std::string local_text(Random& random, std::int64_t& batch) {
  const auto workers = any_of<std::int64_t>(random, {1, 1, 2, 4});
  batch = workers;
  std::string text = replica_text(random, kDevices / workers, true, batch);
  text += fmt::format(", local_steps: {}", any_of<int>(random, {2, 5, 100}));
  if (random.below(3) > 0)
    text += fmt::format(", outer: {{lr: 0.7, momentum: {}}}", random.below(2) == 0 ? "0.9" : "0");
  if (workers > 1)
    text += fmt::format(", subnetwork: {{workers: {}, holders: {}}}", workers,
                        any_of<std::int64_t>(random, {1, 2, workers}));
  return text;
}

// ZeRO-2 and 3 in pipelines, or of gradients that are reduced at the end.
std::string sharded_text(Random& random, std::int64_t& batch) {
  const auto tensor = any_of<std::int64_t>(random, {1, 1, 1, 2});
  const auto stages = any_of<std::int64_t>(random, {1, 2, 2, tensor == 1 ? 4 : 2});
  const std::int64_t data = kDevices / tensor / stages;
  const auto schedule =
      any_of<std::string>(random, {"1f1b", "1f1b", "gpipe", "interleaved", "zb-h1", "zb-h2"});
  const bool interleaves = schedule == "interleaved" && stages > 1;
  const auto drawn = any_of<std::int64_t>(random, {1, 2, 4, 7, 16, 24, 40});
  const std::int64_t micro_batches = interleaves ? (drawn + stages - 1) / stages * stages : drawn;
  batch = data * micro_batches * any_of<std::int64_t>(random, {1, 2, 3});
  std::string text = fmt::format("data: {{ranks: {}, zero: {}, prefetch: {}}}", data,
                                 any_of<int>(random, {2, 3}), any_of<int>(random, {0, 1, 1, 2}));
  if (tensor > 1)
    text += fmt::format(", tensor: {{ranks: {}, sequence_parallel: {}}}", tensor,
                        random.below(2) == 0 ? "true" : "false");
  text += fmt::format(", pipeline: {{stages: {}, schedule: {}, micro_batches: {}{}}}", stages,
                      schedule == "interleaved" && !interleaves ? "gpipe" : schedule, micro_batches,
                      interleaves ? ", chunks: 2" : "");
  text += fmt::format(", recompute: {}, bucket: {} KiB",
                      any_of<std::string>(random, {"none", "none", "selective", "full"}),
                      any_of<int>(random, {64, 500, 2000, 25600}));
  if (stages == 1 || random.below(6) == 0) text += ", overlap: false";
  return text;
}

// Blocks that differ: their shortcuts stay where main branches are dropped.
std::string residual_text(Random& random) {
  return fmt::format("{{kind: {}, image: 32x32x3, classes: 10}}",
                     any_of<std::string>(random, {"resnet18", "resnet20"}));
}

TEST(Estimate, AgreesWithSimulations) {
  const Compared compared = compare_drawn(1, 240, draw);
  EXPECT_GT(compared.all, 130);
  EXPECT_GT(compared.alone, 55);
}

// Of ranks that meet on links: what they leave each other is played, but that of a flow's messages
// each has what the one with least has.
TEST(Estimate, PlaysWhatMeets) {
  Random random = drawn_from(8);
  int all = 0, near = 0, meeting = 0;
  for (int trial = 0; trial < trials(160); ++trial) {
    std::int64_t batch = 1;
    const std::string strategy = strategy_text(random, batch);
    const std::string text =
        scenario_text(random, model_text(random), batch, strategy, crowded_machines());
    const auto scenario = parse_scenario(text, "drawn.yaml", profile_path("drawn.yaml"));
    if (!scenario) continue;
    const StrategySpec& spec = scenario->strategies.front().spec;
    const auto simulated = predict(*scenario, scenario->strategies.front());
    ASSERT_TRUE(simulated) << text;
    Estimator estimator =
        Estimator::make(scenario->model, scenario->training, scenario->cluster).value();
    const double step = simulated->summary.step_time.seconds();
    const Estimate played = estimator.estimate(spec, Contention::played);
    const double error = std::abs(played.step_time / step - 1);
    EXPECT_LT(error, 0.2) << text;
    // What is not marked is as it is alone.
    if (!played.shares_links && played.contention < 0.01 * step) {
      EXPECT_LT(error, 0.015) << text;
    }
    ++all;
    near += error < 0.015 ? 1 : 0;
    meeting += std::abs(estimator.estimate(spec).step_time / step - 1) > 0.015 ? 1 : 0;
  }
  EXPECT_GT(all, 80);
  EXPECT_GT(meeting, all / 4);
  EXPECT_GT(near, all * 9 / 10);
}

TEST(Estimate, AgreesWithSimulationsOfShardedPipelines) {
  const Compared compared = compare_drawn(5, 120, [](Random& random) {
    std::int64_t batch = 1;
    const std::string strategy = sharded_text(random, batch);
    return scenario_text(random, model_text(random), batch, strategy);
  });
  EXPECT_GT(compared.all, 60);
  EXPECT_GT(compared.alone, 30);
}

// Of pipelines whose computing waits for what their stages exchange.
TEST(Estimate, AgreesWithSimulationsOfWaitingPipelines) {
  const Compared compared = compare_drawn(6, 180, [](Random& random) {
    std::string text = draw(random);
    const std::string key = "pipeline: {";
    const auto at = text.find(key);
    if (at == std::string::npos) return std::string();
    const auto exchange = any_of<std::string>(random, {"batched", "serial"});
    return text.insert(at + key.size(), "exchange: " + exchange + ", ");
  });
  EXPECT_GT(compared.all, 60);
  EXPECT_GT(compared.alone, 20);
}

TEST(Estimate, AgreesWithSimulationsOfShardedPipelinesThatWait) {
  const Compared compared = compare_drawn(7, 60, [](Random& random) {
    std::int64_t batch = 1;
    std::string strategy = sharded_text(random, batch);
    const std::string key = "pipeline: {";
    const auto at = strategy.find(key);
    if (at == std::string::npos) return std::string();
    const auto exchange = any_of<std::string>(random, {"batched", "serial"});
    strategy.insert(at + key.size(), "exchange: " + exchange + ", ");
    return scenario_text(random, model_text(random), batch, strategy);
  });
  EXPECT_GT(compared.all, 25);
  EXPECT_GT(compared.alone, 10);
}

// Of pipelines whose tensor-parallel ranks send a share each of what crosses stages.
TEST(Estimate, AgreesWithSimulationsOfSharedMessages) {
  const Compared compared = compare_drawn(7, 700, [](Random& random) {
    std::string text = draw(random);
    const std::string key = "pipeline: {";
    const auto at = text.find(key);
    const bool can_be = at != std::string::npos && text.find("stages: 1,") == std::string::npos &&
                        text.find("sequence_parallel: false") != std::string::npos;
    if (!can_be) return std::string();
    const auto exchange = any_of<std::string>(random, {"overlapped", "batched", "serial"});
    return text.insert(at + key.size(), "scatter_gather: true, exchange: " + exchange + ", ");
  });
  EXPECT_GT(compared.all, 60);
  EXPECT_GT(compared.alone, 30);
}

TEST(Estimate, RefusesSharedMessagesOfShardsAndOfReplicasThatTrainAlone) {
  const auto reason = [](const std::string& replicas, const std::string& messages) {
    const std::string text =
        "name: shares\n"
        "model: {kind: gpt, layers: 6, width: 64, heads: 8, vocabulary: 1024, sequence: 256, "
        "positions: 256, tied: false}\n"
        "training: {data: synthetic, batch: 16, optimizer: {kind: adamw, lr: 0.001}, dtype: bf16, "
        "steps: 3}\n"
        "cluster:\n  device: h100-sxm-80gb\n" +
        machines().front() +
        "strategies: [{name: one, tensor: 2, pipeline: {stages: 2, micro_batches: 4" + messages +
        "}, " + replicas + "}]\n";
    const auto scenario = parse_scenario(text, "shares.yaml", profile_path("shares.yaml")).value();
    Estimator estimator =
        Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
    const StrategySpec& strategy = scenario.strategies.front().spec;
    return estimator.reason(strategy, estimator.estimate(strategy));
  };
  for (const std::string& replicas :
       {std::string("data: 2, local_steps: 5, outer: {lr: 0.7, momentum: 0.9}"),
        std::string("data: {ranks: 2, zero: 3}")}) {
    EXPECT_EQ(reason(replicas, ""), "");
    EXPECT_EQ(reason(replicas, ", scatter_gather: true"),
              "simulated only: there is no closed form of ZeRO-2 and 3, subnetworks and local "
              "steps in a pipeline whose ranks send shares of messages ('pipeline: "
              "{scatter_gather}')");
  }
  EXPECT_EQ(reason("data: 2", ", scatter_gather: true"), "");
}

// By what was asked for, and where.
TEST(Estimate, RefusesByName) {
  const auto reason = [](const std::string& strategy) {
    const std::string text =
        "name: refused\n"
        "model: {kind: gpt, layers: 6, width: 64, heads: 8, vocabulary: 1024, sequence: 256, "
        "positions: 256, tied: false}\n"
        "training: {data: synthetic, batch: 16, optimizer: {kind: adamw, lr: 0.001}, dtype: bf16, "
        "steps: 3}\n"
        "cluster:\n  device: h100-sxm-80gb\n" +
        machines().front() + "strategies: [{name: one, " + strategy + "}]\n";
    const auto scenario = parse_scenario(text, "refused.yaml", profile_path("refused.yaml"));
    EXPECT_TRUE(scenario) << text;
    Estimator estimator =
        Estimator::make(scenario->model, scenario->training, scenario->cluster).value();
    const StrategySpec& spec = scenario->strategies.front().spec;
    return estimator.reason(spec, estimator.estimate(spec));
  };
  const std::string no_closed_form = "simulated only: there is no closed form of ";
  EXPECT_EQ(reason("data: 4, pipeline: {stages: 2, schedule: v-half, micro_batches: 4}"),
            no_closed_form + "'pipeline: {schedule: v-half}'");
  EXPECT_EQ(reason("data: 8, collectives: doubling"),
            no_closed_form + "'collectives: doubling', by 'ring' alone");
  EXPECT_EQ(reason("data: 8, collectives: auto"),
            no_closed_form + "'collectives: auto', by 'ring' alone");
}

TEST(Estimate, AgreesWithSimulationsOfSubnetworks) {
  const Compared compared = compare_drawn(2, 120, [](Random& random) {
    std::int64_t batch = 1;
    const std::string strategy = subnetwork_text(random, batch);
    return scenario_text(random, model_text(random), batch, strategy);
  });
  EXPECT_GT(compared.all, 60);
  EXPECT_GT(compared.alone, 15);
}

TEST(Estimate, AgreesWithSimulationsOfSubnetworksOfResidualBlocks) {
  const Compared compared = compare_drawn(3, 40, [](Random& random) {
    std::int64_t batch = 1;
    const std::string strategy = subnetwork_text(random, batch);
    return scenario_text(random, residual_text(random), batch, strategy);
  });
  EXPECT_GT(compared.all, 20);
}

// More workers than a node has devices, each on one of its own.
TEST(Estimate, AgreesWithSimulationsOfManyWorkers) {
  const Compared compared = compare_drawn(6, 16, [](Random& random) {
    const auto workers = any_of<std::int64_t>(random, {33, 48, 64, 96});
    const std::string machine = any_of<std::string>(
        random,
        {fmt::format("  nodes: 1\n  devices_per_node: {}\n"
                     "  interconnect: {{bandwidth: 370 GB/s, latency: 3 us}}\n",
                     workers),
         fmt::format("  nodes: {}\n  devices_per_node: 1\n  network: {{kind: crossbar, link: "
                     "{{bandwidth: 200 Gb/s, latency: 5 us}}}}\n",
                     workers)});
    return fmt::format(
        "name: drawn\n"
        "model: {{kind: gpt, layers: 12, width: 64, heads: 8, vocabulary: 1024, "
        "sequence: 256, positions: 256}}\n"
        "training: {{data: synthetic, batch: {}, optimizer: {{kind: adamw, lr: "
        "0.001}}, dtype: bf16, steps: 3}}\n"
        "cluster:\n  device: h100-sxm-80gb\n{}"
        "strategies: [{{name: one, data: 1, subnetwork: {{workers: {}, holders: {}, "
        "masking: {}}}}}]\n",
        2 * workers, machine, workers, any_of<std::int64_t>(random, {6, 11, 16, workers}),
        any_of<std::string>(random, {"forward", "forward", "backward"}));
  });
  EXPECT_GT(compared.all, 6);
  EXPECT_GT(compared.alone, 2);
}

// Means over a period.
TEST(Estimate, AgreesWithSimulationsOfLocalSteps) {
  const Compared compared = compare_drawn(4, 160, [](Random& random) {
    std::int64_t batch = 1;
    const std::string strategy = local_text(random, batch);
    return scenario_text(random, model_text(random), batch, strategy);
  });
  EXPECT_GT(compared.all, 60);
}

}  // namespace
}  // namespace rehearse
