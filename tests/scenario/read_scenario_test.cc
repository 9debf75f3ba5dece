// What a scenario says arrives where it belongs.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/files.h"

namespace rehearse {
namespace {

constexpr const char* kEverything = R"(name: Everything a scenario may say
model: {kind: resnet18, image: 28x28x3, classes: 100}
training:
  data: fashion-mnist
  batch: 512
  optimizer: {kind: sgd, lr: 0.05, momentum: 0.8, weight_decay: 1e-4}
  dtype: bf16
  steps: 7
  seed: 12
cluster:
  device: tiny
  nodes: 4
  devices_per_node: 2
  interconnect: {bandwidth: 300 GB/s, latency: 2 us}
  network: {kind: fat-tree, link: {bandwidth: 100 Gb/s, latency: 5 us}, nodes_per_leaf: 2, oversubscription: 1.5}
strategies:
  - {name: ddp, data: auto, bucket: 256 KiB, micro_batches: 2}
  - {name: pipe, data: 2, pipeline: {stages: auto, schedule: gpipe, micro_batches: 8}}
  - {name: sub, data: 2, subnetwork: {workers: 4, construction: block, coverage: 0.5, masking: forward, scaling: none, balance: parameters}}
  - {name: held, subnetwork: {workers: auto, holders: 3}}
)";

Scenario parsed(const std::string& text) {
  const Result<Scenario> scenario = parse_scenario(text, "here.yaml", testing::test_profiles());
  EXPECT_TRUE(scenario.ok()) << format(scenario.errors());
  return scenario.ok() ? *scenario : Scenario{};
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), by);
}

TEST(ReadScenario, Model) {
  const Scenario scenario = parsed(kEverything);
  EXPECT_EQ(scenario.name, "Everything a scenario may say");
  EXPECT_EQ(scenario.path, "here.yaml");
  EXPECT_EQ(scenario.model.kind, "resnet18");
  EXPECT_THAT(scenario.model.fields.at("image"), ::testing::ElementsAre(28, 28, 3));
  EXPECT_THAT(scenario.model.fields.at("classes"), ::testing::ElementsAre(100));
}

TEST(ReadScenario, Dropout) {
  const auto dropout = [](const std::string& model) {
    return parsed(replaced(kEverything, "{kind: resnet18, image: 28x28x3, classes: 100}", model))
        .model.at("dropout");
  };
  EXPECT_EQ(dropout("{kind: vit, image: 28x28x3, patch: 4, classes: 100, dropout: 0.1}"), 100'000);
  EXPECT_EQ(dropout("{kind: vit, image: 28x28x3, patch: 4, classes: 100}"), 0);
}

TEST(ReadScenario, Losses) {
  const auto loss = [](const std::string& model) {
    const ModelSpec spec =
        parsed(replaced(kEverything, "{kind: resnet18, image: 28x28x3, classes: 100}", model))
            .model;
    return losses().at(static_cast<std::size_t>(spec.at("loss")));
  };
  for (const std::string kind : {"resnet18", "resnet20", "resnet50", "vit, patch: 4"}) {
    const std::string model = "{kind: " + kind + ", image: 28x28x3, classes: 100";
    EXPECT_EQ(loss(model + "}"), Loss::cross_entropy);
    EXPECT_EQ(loss(model + ", loss: cross-entropy}"), Loss::cross_entropy);
    EXPECT_EQ(loss(model + ", loss: squared-error}"), Loss::squared_error);
  }
}

TEST(ReadScenario, Optimizers) {
  const std::string sgd = "{kind: sgd, lr: 0.05, momentum: 0.8, weight_decay: 1e-4}";
  const auto optimizer = [&](const std::string& text) {
    return parsed(replaced(kEverything, sgd, text)).training.optimizer;
  };
  EXPECT_EQ(optimizer("{kind: adam, lr: 3e-4}"), (Optimizer{Adam{}, 3e-4, 0, {}}));
  EXPECT_EQ(optimizer("{kind: adamw, lr: 3e-4, betas: [0.8, 0.95], epsilon: 1e-9, "
                      "weight_decay: 0.1, schedule: {warmup: 5, decay: cosine, last: 0.1}}"),
            (Optimizer{Adam{.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-9, .decoupled = true},
                       3e-4,
                       0.1,
                       {.warmup = 5, .decay = RateDecay::cosine, .last = 0.1}}));
  EXPECT_EQ(optimizer("{kind: sgd, lr: 1, schedule: {decay: step, every: 30, factor: 0.2}}"),
            (Optimizer{Sgd{}, 1, 0, {.decay = RateDecay::step, .every = 30, .factor = 0.2}}));
  EXPECT_EQ(optimizer("{kind: sgd, lr: 1, clip: 0.5}"), (Optimizer{Sgd{}, 1, 0, {}, 0.5}));
}

TEST(ReadScenario, Training) {
  const Training training = parsed(kEverything).training;
  EXPECT_EQ(training.data, "fashion-mnist");
  EXPECT_EQ(training.batch, 512);
  EXPECT_EQ(training.optimizer, (Optimizer{Sgd{0.8}, 0.05, 1e-4, {}}));
  EXPECT_EQ(training.dtype, DataType::bf16);
  EXPECT_EQ(training.steps, 7);
  EXPECT_EQ(training.seed, 12u);
}

TEST(ReadScenario, Cluster) {
  const ClusterSpec cluster = parsed(kEverything).cluster;
  EXPECT_EQ(cluster.device.name, "tiny");
  EXPECT_EQ(rate_of(cluster.device, KernelClass::attention).compute.flops_per_second(), 3e9);
  EXPECT_EQ(cluster.nodes, 4);
  EXPECT_EQ(cluster.devices_per_node, 2);
  ASSERT_TRUE(cluster.interconnect.has_value());
  EXPECT_EQ(cluster.interconnect->bandwidth.bytes_per_second(), 300e9);
  EXPECT_EQ(cluster.network.kind, NetworkKind::fat_tree);
  EXPECT_EQ(cluster.network.link.bandwidth.bytes_per_second(), 12.5e9) << "Gb/s are bits";
  EXPECT_DOUBLE_EQ(cluster.network.link.latency.seconds(), 5e-6);
  EXPECT_EQ(cluster.network.nodes_per_leaf, 2);
  EXPECT_EQ(cluster.network.oversubscription, 1.5);
}

TEST(ReadScenario, DataParallel) {
  const ScenarioStrategy strategy = parsed(kEverything).strategies.at(0);
  EXPECT_EQ(strategy.spec.name, "ddp");
  EXPECT_EQ(strategy.spec.bucket, Bytes::kib(256));
  EXPECT_EQ(strategy.spec.micro_batches, 2);
  EXPECT_EQ(strategy.mesh.data, 8) << "auto takes all devices";
}

TEST(ReadScenario, Pipeline) {
  const ScenarioStrategy strategy = parsed(kEverything).strategies.at(1);
  ASSERT_TRUE(strategy.spec.pipeline.has_value());
  EXPECT_EQ(strategy.spec.pipeline->schedule, "gpipe");
  EXPECT_EQ(strategy.spec.pipeline->micro_batches, 8);
  EXPECT_EQ(strategy.mesh.data, 2);
  EXPECT_EQ(strategy.mesh.pipeline, 4) << "auto takes what data parallelism leaves";
}

TEST(ReadScenario, Subnetwork) {
  const ScenarioStrategy strategy = parsed(kEverything).strategies.at(2);
  ASSERT_TRUE(strategy.spec.subnetwork.has_value());
  const SubnetworkSpec& subnetwork = *strategy.spec.subnetwork;
  EXPECT_EQ(subnetwork.coverage, (Fraction{1, 2}));
  EXPECT_EQ(subnetwork.scaling, Scaling::none);
  EXPECT_EQ(subnetwork.balance, Balance::parameters);
  EXPECT_EQ(strategy.mesh.workers, 4);
}

TEST(ReadScenario, HoldersInsteadOfCoverage) {
  const ScenarioStrategy strategy = parsed(kEverything).strategies.at(3);
  EXPECT_EQ(strategy.spec.subnetwork->holders, 3);
  EXPECT_EQ(*holders_of(*strategy.spec.subnetwork, strategy.mesh.workers), 3);
}

TEST(ReadScenario, LocalSteps) {
  const Scenario scenario = parsed(R"(name: local
model: {kind: gpt}
training: {data: synthetic, batch: 8, optimizer: {kind: sgd, lr: 0.1}}
cluster: {device: tiny, devices_per_node: 2}
strategies:
  - {name: ddp, data: auto}
  - {name: mean, data: auto, local_steps: 8}
  - {name: diloco, data: auto, local_steps: 500, outer: {lr: 0.5}}
)");
  const auto spec = [&](std::size_t k) { return scenario.strategies.at(k).spec; };
  EXPECT_EQ(spec(0).local_steps, 1);
  EXPECT_EQ(spec(1).local_steps, 8);
  EXPECT_EQ(spec(1).outer, std::nullopt);
  EXPECT_TRUE(spec(1).synchronises);
  EXPECT_EQ(spec(2).local_steps, 500);
  EXPECT_EQ(spec(2).outer, (OuterOptimizer{0.5, 0.9}));
}

// What NCCL takes is in the profiles of GPUs, and counts where messages go over it.
TEST(ReadScenario, Transport) {
  const auto communicator = [](const std::string& keys) {
    const Result<Scenario> scenario = parse_scenario(
        fmt::format("name: short\n"
                    "model: {{kind: gpt}}\n"
                    "training: {{data: synthetic, batch: 8, optimizer: {{kind: sgd, lr: 0.1}}}}\n"
                    "cluster: {{{}}}\n"
                    "strategies: [{{name: one}}]\n",
                    keys),
        "here.yaml", testing::shipped_profiles());
    return scenario ? fmt::format("{}", scenario->cluster.device.communicator.bytes())
                    : scenario.errors().front().message;
  };
  EXPECT_EQ(communicator("device: h100-sxm-80gb"), "0");
  EXPECT_EQ(communicator("device: h100-sxm-80gb, transport: host"), "0");
  // 4 channels of 10 + 2 MiB.
  EXPECT_EQ(communicator("device: h100-sxm-80gb, transport: nccl"), std::to_string(48 << 20));
  EXPECT_EQ(communicator("device: cpu-core, transport: nccl"),
            "NCCL is between GPUs, and 'cpu-core' is a cpu");
}

TEST(ReadScenario, WhatIsNotSaidHasItsDefault) {
  const Scenario scenario = parsed(R"(name: short
model: {kind: gpt}
training: {data: synthetic, batch: 8, optimizer: {kind: sgd, lr: 0.1}}
cluster: {device: tiny}
strategies: [{name: one}]
)");
  EXPECT_EQ(scenario.training.dtype, DataType::fp32);
  EXPECT_EQ(scenario.training.optimizer, (Optimizer{Sgd{}, 0.1, 0, {}}));
  EXPECT_EQ(scenario.cluster.nodes, 1);
  EXPECT_EQ(scenario.cluster.devices_per_node, 1);
  EXPECT_FALSE(scenario.cluster.interconnect.has_value());
  EXPECT_EQ(scenario.cluster.network.kind, NetworkKind::none);
  EXPECT_EQ(scenario.strategies.at(0).mesh.ranks(), 1);
  EXPECT_EQ(scenario.strategies.at(0).spec.bucket, Bytes::mib(25));
  EXPECT_THAT(scenario.model.fields.at("layers"), ::testing::ElementsAre(12)) << "resolved";
}

TEST(ReadScenario, StrategiesKnowWhereTheyStand) {
  const ScenarioStrategy strategy = parsed(kEverything).strategies.at(1);
  EXPECT_EQ(strategy.where.line, 18);
  EXPECT_EQ(strategy.where.source->name(), "here.yaml");
}

TEST(ReadScenario, LaysOutAsItLikes) {
  const std::string flow = kEverything;
  const std::string block =
      replaced(flow, "model: {kind: resnet18, image: 28x28x3, classes: 100}",
               "model:  # what is trained\n  image: 28x28x3\n  kind: \"resnet18\"\n  classes: 100");
  EXPECT_EQ(parsed(block).model.fields, parsed(flow).model.fields);
  std::string windows;
  for (const char c : flow)
    windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  EXPECT_EQ(parsed(windows).cluster.device.name, "tiny");
}

TEST(ReadScenario, SeveralCountsAreAListOrAWord) {
  const auto hidden = [](const std::string& counts) {
    return parsed(
               "name: mlp\n"
               "model: {kind: mlp, image: 28x28x1, classes: 10, hidden: " +
               counts +
               "}\n"
               "training: {data: synthetic, batch: 8, optimizer: {kind: sgd, lr: 0.1}}\n"
               "cluster: {device: tiny}\n"
               "strategies: [{name: one}]\n")
        .model.fields.at("hidden");
  };
  EXPECT_THAT(hidden("[128, 64, 32]"), ::testing::ElementsAre(128, 64, 32));
  EXPECT_EQ(hidden("128x64x32"), hidden("[128, 64, 32]"));
}

TEST(ReadScenario, ADeviceGivenFromOutsideReplacesTheFiles) {
  const std::string file = (testing::kSource / "scenarios/resnet20_fashion_mnist.yaml").string();
  const std::string tiny = (testing::kHere / "devices/tiny.yaml").string();
  const Result<Scenario> scenario = read_scenario(file, testing::shipped_profiles(), tiny);
  ASSERT_TRUE(scenario.ok()) << format(scenario.errors());
  EXPECT_EQ(scenario->cluster.device.name, "tiny");
}

TEST(ReadScenario, ADeviceNamedByItsPathIsRelativeToTheScenario) {
  const std::string text = replaced(kEverything, "device: tiny", "device: devices/tiny.yaml");
  const std::string path = (testing::kHere / "here.yaml").string();
  const Result<Scenario> scenario = parse_scenario(text, path, ProfilePath{});
  ASSERT_TRUE(scenario.ok()) << format(scenario.errors());
  EXPECT_EQ(scenario->cluster.device.name, "tiny");
}

// Of three that four devices are for, one needs five; whoever wants another need not care.
TEST(OneStrategy, IsCheckedAlone) {
  const std::string text =
      "name: one\nmodel: {kind: mlp, image: 8x8x1, hidden: [8], classes: 2}\n"
      "training: {data: synthetic, batch: 8, optimizer: {kind: sgd, lr: 0.1}, dtype: fp32, steps: "
      "2}\ncluster: {device: tiny, nodes: 1, devices_per_node: 4}\n"
      "strategies:\n  - {name: five, data: 5}\n  - {name: four, data: 4}\n";
  const auto read = [&](const std::optional<std::string>& strategy) {
    return parse_scenario(text, "one.yaml", testing::test_profiles(), strategy);
  };
  const Result<Scenario> four = read("four");
  ASSERT_TRUE(four.ok()) << format(four.errors());
  ASSERT_EQ(four->strategies.size(), 1u);
  EXPECT_EQ(four->strategies[0].spec.name, "four");
  EXPECT_EQ(four->strategies[0].mesh.ranks(), 4);
  for (const std::optional<std::string>& strategy :
       {std::optional<std::string>(), std::optional<std::string>("five"),
        std::optional<std::string>("six")}) {
    const Result<Scenario> refused = read(strategy);
    ASSERT_FALSE(refused.ok()) << strategy.value_or("all");
    EXPECT_EQ(refused.errors().front().where->line, 6);
  }
}

}  // namespace
}  // namespace rehearse
