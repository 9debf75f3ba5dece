// Estimates against simulations on nodes that stages do not divide, and on networks on which some
// ranks are farther from each other than others.
#include "cost/closed_form/estimator.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/tools/estimate/drawn.h"
#include "tools/predict/predict.h"

namespace rehearse {
namespace {

// Of some of them replicas leave nodes over other boundaries than their neighbours.
struct OddMachine {
  std::int64_t devices = 0;
  std::string text;
};

OddMachine odd_machine(Random& random) {
  const auto per_node = any_of<std::int64_t>(random, {1, 4, 6, 8});
  const auto nodes = any_of<std::int64_t>(random, {1, 2, 3, 4, 5, 6});
  const std::int64_t all = per_node == 1 ? 3 * nodes : nodes;
  const auto rate = any_of<std::string>(random, {"25 Gb/s", "100 Gb/s", "400 Gb/s"});
  const auto kind = any_of<std::string>(
      random,
      {"rail, nodes_per_leaf: 2", "rail, nodes_per_leaf: 6", "ring", "crossbar",
       fmt::format("torus, dims: [{}, {}]", all % 3 == 0 ? all / 3 : all, all % 3 == 0 ? 3 : 1),
       "leaf-spine, nodes_per_leaf: 2, spines: 2",
       "fat-tree, nodes_per_leaf: 3, oversubscription: 1"});
  const bool one = kind.substr(0, 4) != "rail";
  std::string text = fmt::format("  nodes: {}\n  devices_per_node: {}\n", all, per_node);
  if (per_node > 1) text += "  interconnect: {bandwidth: 300 GB/s, latency: 2 us}\n";
  if (per_node > 1 && !one)
    text += fmt::format("  nics: {{count: {}, bus: {{bandwidth: 50 GB/s, latency: 1 us}}}}\n",
                        per_node);
  if (all > 1)
    text += fmt::format("  network: {{kind: {}, link: {{bandwidth: {}, latency: 4 us}}}}\n", kind,
                        rate);
  return {all * per_node, text};
}

std::string odd_text(Random& random) {
  const OddMachine machine = odd_machine(random);
  const auto tensor = any_of<std::int64_t>(random, {1, 1, 1, 2});
  const auto stages = any_of<std::int64_t>(random, {1, 2, 3, 3, 4, 5, 6, 6});
  if (machine.devices % (tensor * stages) != 0) return "";
  const std::int64_t data = machine.devices / tensor / stages;
  const auto schedule =
      any_of<std::string>(random, {"1f1b", "1f1b", "gpipe", "interleaved", "zb-h1", "zb-h2"});
  const bool interleaves = schedule == "interleaved" && stages > 1 && stages <= 4;
  const auto drawn = any_of<std::int64_t>(random, {1, 2, 4, 7, 8, 16, 40});
  const std::int64_t count = interleaves ? (drawn + stages - 1) / stages * stages : drawn;
  std::string text =
      fmt::format("data: {{ranks: {}, zero: {}}}", data, data > 1 ? random.below(2) : 0);
  if (tensor > 1) text += ", tensor: 2";
  if (stages > 1) {
    text += fmt::format(
        ", pipeline: {{stages: {}, schedule: {}, micro_batches: {}{}, exchange: {}}}", stages,
        interleaves                 ? "interleaved"
        : schedule == "interleaved" ? "1f1b"
                                    : schedule,
        count, interleaves ? ", chunks: 2" : "",
        any_of<std::string>(random,
                            {"overlapped", "overlapped", "overlapped", "batched", "serial"}));
  } else {
    text += fmt::format(", micro_batches: {}", count);
  }
  if (random.below(6) == 0) text += ", overlap: false";
  text += fmt::format(", bucket: {} KiB", any_of<int>(random, {64, 500, 25600}));
  const std::int64_t batch = data * count * any_of<std::int64_t>(random, {1, 2, 3});
  return scenario_text(random, model_text(random), batch, text, {machine.text});
}

TEST(Estimate, AgreesWithSimulationsOfReplicasThatDiffer) {
  const Compared compared = compare_drawn(9, 200, odd_text, true);
  EXPECT_GT(compared.all, 60);
  EXPECT_GT(compared.alone, 20);
  EXPECT_GT(compared.near, compared.all * 9 / 10);
}

// Subnetworks and replicas that train alone, of whose workers each has replicas that differ.
std::string odd_worker_text(Random& random) {
  const OddMachine machine = odd_machine(random);
  const auto workers = any_of<std::int64_t>(random, {1, 2, 3, 4});
  const auto stages = any_of<std::int64_t>(random, {1, 2, 3, 3, 5});
  if (machine.devices % (workers * stages) != 0) return "";
  const std::int64_t data = machine.devices / workers / stages;
  const auto count = any_of<std::int64_t>(random, {1, 2, 4, 8});
  const bool is_local = workers == 1 || random.below(4) == 0;
  std::string text = fmt::format("data: {{ranks: {}, zero: {}}}, bucket: 500 KiB", data,
                                 is_local ? 0 : random.below(2));
  if (stages > 1) {
    text += fmt::format(", pipeline: {{stages: {}, schedule: {}, micro_batches: {}}}", stages,
                        any_of<std::string>(random, {"1f1b", "gpipe", "zb-h1"}), count);
  } else {
    text += fmt::format(", micro_batches: {}", count);
  }
  if (is_local) text += ", local_steps: 5, outer: {lr: 0.7, momentum: 0.9}";
  if (workers > 1)
    text += fmt::format(", subnetwork: {{workers: {}, holders: {}}}", workers,
                        1 + random.below(static_cast<std::uint64_t>(workers)));
  return scenario_text(random, model_text(random), data * workers * count * 2, text,
                       {machine.text});
}

TEST(Estimate, AgreesWithSimulationsOfWorkersWhoseReplicasDiffer) {
  const Compared compared = compare_drawn(11, 120, odd_worker_text);
  EXPECT_GT(compared.all, 25);
  EXPECT_GT(compared.alone, 5);
}

std::string odd_sharded_text(Random& random) {
  const OddMachine machine = odd_machine(random);
  const auto stages = any_of<std::int64_t>(random, {1, 2, 3, 3, 5, 6});
  if (machine.devices % stages != 0) return "";
  const std::int64_t data = machine.devices / stages;
  const auto count = any_of<std::int64_t>(random, {1, 2, 4, 8, 24});
  std::string text =
      fmt::format("data: {{ranks: {}, zero: {}}}, bucket: 500 KiB", data, 2 + random.below(2));
  if (stages > 1) {
    text += fmt::format(", pipeline: {{stages: {}, schedule: {}, micro_batches: {}}}", stages,
                        any_of<std::string>(random, {"1f1b", "gpipe", "zb-h1"}), count);
  } else {
    text += fmt::format(", micro_batches: {}", count);
  }
  return scenario_text(random, model_text(random), data * count * 2, text, {machine.text});
}

TEST(Estimate, AgreesWithSimulationsOfShardsOfReplicasThatDiffer) {
  const Compared compared = compare_drawn(12, 60, odd_sharded_text);
  EXPECT_GT(compared.all, 25);
  EXPECT_GT(compared.alone, 12);
}

// But for what meets estimates are simulations' to within rounding.
constexpr double kRounded = 1e-6;

void expect_same(const std::string& text, double tolerance = kRounded) {
  const auto scenario = parse_scenario(text, "same.yaml", profile_path("same.yaml")).value();
  Estimator estimator =
      Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
  for (const ScenarioStrategy& strategy : scenario.strategies) {
    const Prediction simulated = predict(scenario, strategy).value();
    const Estimate estimate = estimator.estimate(strategy.spec);
    const double step = simulated.summary.step_time.seconds();
    EXPECT_NEAR(estimate.step_time / step, 1, tolerance) << strategy.spec.name << "\n" << text;
    EXPECT_NEAR(estimate.bubble_fraction, simulated.summary.bubble_fraction, 1e-3)
        << strategy.spec.name << "\n"
        << text;
    EXPECT_FALSE(estimate.replicas_differ);
  }
}

std::string same_text(std::int64_t batch, const std::string& cluster,
                      const std::string& strategies) {
  return fmt::format(
      "name: same\n"
      "model: {{kind: gpt, layers: 10, width: 64, heads: 8, vocabulary: 1024, sequence: 256, "
      "positions: 256, tied: false}}\n"
      "training: {{data: synthetic, batch: {}, optimizer: {{kind: adamw, lr: 0.001, clip: 1}}, "
      "dtype: bf16, steps: 3}}\n"
      "cluster:\n  device: h100-sxm-80gb\n{}"
      "strategies: [{}]\n",
      batch, cluster, strategies);
}

// Four replicas of three or five stages on nodes of four GPUs each cross nodes over other
// boundaries than their neighbours, or nowhere.
TEST(Estimate, PricesReplicasWhoseMessagesDiffer) {
  for (const std::int64_t stages : {3, 5}) {
    expect_same(
        same_text(
            96,
            fmt::format("  nodes: {}\n  devices_per_node: 4\n"
                        "  interconnect: {{bandwidth: 370 GB/s, latency: 3 us}}\n"
                        "  nics: {{count: 4, bus: {{bandwidth: 50 GB/s, latency: 1 us}}}}\n"
                        "  network: {{kind: rail, nodes_per_leaf: 5, link: {{bandwidth: 25 Gb/s, "
                        "latency: 5 us}}}}\n",
                        stages),
            fmt::format(
                "{{name: a, data: auto, pipeline: {{stages: {0}, micro_batches: 4}}}}, "
                "{{name: b, data: {{ranks: auto, zero: 1}}, pipeline: {{stages: {0}, schedule: "
                "zb-h1, micro_batches: 8}}}}, {{name: c, data: auto, overlap: false, pipeline: "
                "{{stages: {0}, schedule: gpipe, micro_batches: 6, exchange: serial}}}}",
                stages)),
        2e-3);
  }
}

// Passes that the host takes longer to queue than the device to run, where many blocks are one op:
// of few blocks the head's kernels are long enough, of many they are not.
TEST(Estimate, PricesDeepNetworksThatTheHostQueues) {
  for (const std::int64_t layers : {4, 6, 8, 12, 32, 48}) {
    expect_same(fmt::format(
        "name: deep\n"
        "model: {{kind: llama, layers: {}, width: 512, heads: 8, kv_heads: 8, hidden: 1376, "
        "sequence: 128, vocabulary: 32000}}\n"
        "training: {{data: synthetic, batch: 8, dtype: bf16, steps: 3, optimizer: {{kind: sgd, lr: "
        "0.1}}}}\n"
        "cluster: {{device: a100-sxm-80gb, nodes: 1, devices_per_node: 2, interconnect: "
        "{{bandwidth: 300 GB/s, latency: 3 us}}}}\n"
        "strategies:\n"
        "- {{name: whole, data: 2, micro_batches: 4, bucket: 1 GiB}}\n"
        "- {{name: recomputed, data: 2, micro_batches: 4, bucket: 1 GiB, recompute: full}}\n"
        "- {{name: late, data: 2, micro_batches: 2, overlap: false}}\n"
        "- {{name: buckets, data: 2, micro_batches: 4, bucket: 4 MiB}}\n"
        "- {{name: pipe, pipeline: {{stages: 2, micro_batches: 8, schedule: zb-h1}}}}\n"
        "- {{name: slices, tensor: 2, micro_batches: 8}}\n",
        layers));
  }
}

// The squares of clipped gradients go to ranks that are so many cables away, here and there.
TEST(Estimate, AddsUpSquaresAsSimulated) {
  const auto on = [](const std::string& network, std::int64_t nodes, std::int64_t per_node,
                     const std::string& strategies) {
    expect_same(same_text(
        12 * nodes * per_node,
        fmt::format("  nodes: {}\n  devices_per_node: {}\n"
                    "  interconnect: {{bandwidth: 370 GB/s, latency: 3 us}}\n"
                    "  network: {{kind: {}, link: {{bandwidth: 100 Gb/s, latency: 5 us}}}}\n",
                    nodes, per_node, network),
        strategies));
  };
  const std::string data = "{name: data, data: auto}";
  on("ring", 16, 1, data);
  on("ring", 7, 1, data);
  on("torus, dims: [4, 4]", 16, 1, data);
  on("torus, dims: [3, 4]", 12, 1,
     data + ", {name: pipe, pipeline: {stages: 12, micro_batches: 12}}");
  on("leaf-spine, nodes_per_leaf: 4, spines: 2", 16, 1, data);
  on("crossbar", 4, 2, data);
  on("crossbar", 3, 4, "{name: alone, data: auto, local_steps: 4, outer: {lr: 1, momentum: 0}}");
}

}  // namespace
}  // namespace rehearse
