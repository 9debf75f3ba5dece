// Plans of all strategies for small networks, for tests of what works on any plan.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/net/model_spec.h"
#include "model/schedule/build_plan.h"

namespace rehearse::testing {

struct PlanCase {
  std::string name;
  StrategySpec strategy;
  ModelSpec model;
  std::int64_t devices = 4;
};

inline ModelSpec resnet20() {
  return {"resnet20", {{"image", {28, 28, 1}}, {"classes", {10}}}};
}
inline ModelSpec mlp() {
  return {"mlp", {{"image", {4, 4, 1}}, {"hidden", {24, 24, 24}}, {"classes", {10}}}};
}

// Untied: its ends share nothing.
inline ModelSpec small_gpt(std::int64_t layers) {
  return {"gpt",
          {{"layers", {layers}},
           {"width", {8}},
           {"heads", {2}},
           {"vocabulary", {16}},
           {"sequence", {4}},
           {"positions", {4}},
           {"tied", {0}}}};
}

inline StrategySpec data_parallel(std::string name = "ddp", Bytes bucket = Bytes::kib(256)) {
  StrategySpec strategy;
  strategy.name = std::move(name);
  strategy.data = std::nullopt;
  strategy.bucket = bucket;
  return strategy;
}

inline StrategySpec accumulation(std::int64_t micro_batches) {
  StrategySpec strategy;
  strategy.name = "accumulate";
  strategy.micro_batches = micro_batches;
  return strategy;
}

inline StrategySpec pipeline(std::string schedule, std::int64_t stages,
                             std::int64_t micro_batches) {
  StrategySpec strategy;
  strategy.name = schedule;
  strategy.data = std::nullopt;
  strategy.pipeline = PipelineSpec{stages, std::move(schedule), micro_batches};
  return strategy;
}

inline StrategySpec subnetwork(Fraction coverage, AxisSize workers = std::nullopt) {
  StrategySpec strategy;
  strategy.name = "subnetwork";
  strategy.subnetwork.emplace();
  strategy.subnetwork->workers = workers;
  strategy.subnetwork->coverage = coverage;
  strategy.bucket = Bytes::kib(256);
  return strategy;
}

// By worker, whoever else holds what they hold.
inline StrategySpec dealt(AssignmentKind kind, std::vector<Fraction> coverages) {
  StrategySpec strategy = subnetwork({1, 1});
  strategy.subnetwork->assignment = kind;
  strategy.subnetwork->coverages = std::move(coverages);
  return strategy;
}
inline StrategySpec redrawn(StrategySpec strategy, std::int64_t draw) {
  strategy.subnetwork->redraw = 100;
  strategy.subnetwork->draw = draw;
  return strategy;
}

inline StrategySpec by_width(StrategySpec strategy) {
  strategy.subnetwork->construction = Construction::width;
  return strategy;
}

inline StrategySpec masked_backward(StrategySpec strategy) {
  strategy.subnetwork->masking = Masking::backward;
  return strategy;
}

// Replicas that train for some steps each for itself; which of a period's plans.
inline StrategySpec local(StrategySpec strategy, std::int64_t steps,
                          std::optional<OuterOptimizer> outer = std::nullopt,
                          bool synchronises = true) {
  strategy.local_steps = steps;
  strategy.outer = outer;
  strategy.synchronises = synchronises;
  return strategy;
}

// Replicas that leave out what they draw.
inline StrategySpec with_depth(StrategySpec strategy, double keep, std::int64_t draw = 0) {
  strategy.stochastic_depth = StochasticDepth{keep, draw};
  return strategy;
}

inline Training training(std::int64_t batch = 256) {
  Training training;
  training.data = "synthetic";
  training.batch = batch;
  training.optimizer.rule = Sgd{0.9};
  training.steps = 3;
  return training;
}

inline Result<Plan> plan_of(const PlanCase& c, std::int64_t batch = 256,
                            Reduction reduction = Reduction::fast,
                            std::optional<double> clip = std::nullopt) {
  const Result<Net> net = build_net(c.model);
  if (!net) return net.errors();
  Training spec = training(batch);
  spec.reduction = reduction;
  spec.optimizer.clip = clip;
  return build_plan(c.strategy, c.model, spec, c.devices, even_costs(net->blocks.size()));
}

inline std::vector<PlanCase> all_cases() {
  std::vector<PlanCase> cases = {
      {"ddp", data_parallel(), resnet20(), 4},
      {"depth", with_depth(data_parallel("depth", Bytes::kib(64)), 0.3, 1), resnet20(), 4},
      {"one", accumulation(1), resnet20(), 1},
      {"accumulate", accumulation(4), resnet20(), 1},
      {"gpipe", pipeline("gpipe", 4, 4), resnet20(), 4},
      {"1f1b", pipeline("1f1b", 4, 8), resnet20(), 4},
      {"pipelines", pipeline("1f1b", 2, 4), resnet20(), 8},
      {"subnetwork", subnetwork({1, 2}), resnet20(), 4},
      {"alone", subnetwork({1, 4}), resnet20(), 4},
      {"whole", subnetwork({1, 1}), resnet20(), 4},
  };
  // Every axis at once: 2 replicas of 4 workers in 2 stages each.
  StrategySpec all = subnetwork({1, 2}, 4);
  all.name = "all";
  all.data = 2;
  all.pipeline = PipelineSpec{2, "1f1b", 2};
  cases.push_back({"all", all, resnet20(), 16});
  const ModelSpec gpt = {"gpt",
                         {{"layers", {4}},
                          {"width", {32}},
                          {"heads", {4}},
                          {"vocabulary", {96}},
                          {"sequence", {16}},
                          {"positions", {16}}}};
  cases.push_back({"gpt_tied_pipeline", pipeline("1f1b", 2, 2), gpt, 4});
  cases.push_back({"gpt_subnetwork", subnetwork({1, 2}), gpt, 4});
  cases.push_back({"width", by_width(subnetwork({1, 2})), resnet20(), 4});
  cases.push_back({"gpt_width", by_width(subnetwork({1, 2})), gpt, 4});
  StrategySpec halves = by_width(subnetwork({1, 2}, 2));
  halves.pipeline = PipelineSpec{2, "zb-h1", 2};
  cases.push_back({"gpt_width_pipeline", halves, gpt, 4});
  cases.push_back({"backward", masked_backward(subnetwork({1, 2})), resnet20(), 4});
  cases.push_back({"backward_alone", masked_backward(subnetwork({1, 4})), gpt, 4});
  StrategySpec backward_halves = masked_backward(halves);
  backward_halves.sharding = Sharding::gradients;
  backward_halves.data = 2;
  cases.push_back({"backward_width_pipeline", backward_halves, gpt, 8});
  StrategySpec unusual = by_width(subnetwork({1, 2}));
  unusual.subnetwork->axes = {WidthAxis::heads};
  unusual.subnetwork->averaging = Averaging::all;
  unusual.subnetwork->always_held = {"decoder2"};
  cases.push_back({"gpt_width_unusual", unusual, gpt, 4});
  StrategySpec unequal = subnetwork({1, 2});
  unequal.subnetwork->coverages = {{3, 4}, {3, 4}, {1, 4}, {1, 4}};
  unequal.subnetwork->always_held = {"stage1_block1", "stage3_block3"};
  cases.push_back({"unequal", unequal, resnet20(), 4});
  StrategySpec nested = by_width(dealt(AssignmentKind::nested, {{1, 1}, {1, 2}, {1, 2}, {1, 4}}));
  nested.subnetwork->scaling = Scaling::in_training;
  cases.push_back({"nested", nested, resnet20(), 4});
  // Half of the blocks are parked.
  const std::vector<Fraction> halves_of_four = {{1, 2}, {1, 2}, {1, 4}, {1, 4}};
  cases.push_back({"nested_blocks", dealt(AssignmentKind::nested, halves_of_four), gpt, 4});
  StrategySpec random = by_width(dealt(AssignmentKind::random, {{1, 4}, {1, 8}}));
  random.subnetwork->width_units = 8;
  random.data = 2;
  cases.push_back({"random", redrawn(random, 3), resnet20(), 4});
  StrategySpec rolling = redrawn(dealt(AssignmentKind::rolling, {{1, 2}, {1, 4}}), 2);
  rolling.data = 2;
  rolling.pipeline = PipelineSpec{2, "1f1b", 2};
  cases.push_back({"rolling", rolling, gpt, 8});
  cases.push_back({"nested_backward",
                   masked_backward(dealt(AssignmentKind::nested, {{1, 1}, {1, 2}, {1, 2}, {1, 4}})),
                   resnet20(), 4});
  for (int level = 1; level <= 3; ++level) {
    StrategySpec zero = data_parallel();
    zero.sharding = static_cast<Sharding>(level);
    zero.micro_batches = 2;
    cases.push_back({"zero" + std::to_string(level), zero, resnet20(), 4});
  }
  cases.push_back({"local_sgd", local(data_parallel(), 8), resnet20(), 4});
  cases.push_back({"diloco", local(data_parallel(), 50, OuterOptimizer{}), resnet20(), 4});
  cases.push_back(
      {"diloco_between", local(data_parallel(), 50, OuterOptimizer{}, false), resnet20(), 4});
  cases.push_back({"diloco_pipelines", local(pipeline("1f1b", 2, 4), 20, OuterOptimizer{0.7, 0}),
                   resnet20(), 8});
  cases.push_back({"ist", local(by_width(subnetwork({1, 4})), 10), gpt, 4});
  cases.push_back({"local_subnetwork", local(subnetwork({1, 2}), 10, OuterOptimizer{}), gpt, 4});
  cases.push_back({"interleaved", pipeline("interleaved", 4, 8), resnet20(), 4});
  StrategySpec waiting = pipeline("1f1b", 4, 8);
  waiting.pipeline->exchange = StageExchange::batched;
  cases.push_back({"waiting", waiting, resnet20(), 4});
  cases.push_back({"zbh1", pipeline("zb-h1", 2, 4), resnet20(), 4});
  cases.push_back({"zbv", pipeline("zb-v", 4, 8), resnet20(), 4});
  StrategySpec three_axes = pipeline("zb-h1", 2, 4);
  three_axes.sharding = Sharding::parameters;
  three_axes.recomputation = Recomputation::full;
  three_axes.tensor = TensorSpec{2, false};
  cases.push_back({"three_axes", three_axes, gpt, 8});
  three_axes.tensor = TensorSpec{2, true};
  three_axes.order = {Axis::subnetwork, Axis::pipeline, Axis::tensor, Axis::data};
  cases.push_back({"three_axes_rows", three_axes, gpt, 8});
  return cases;
}

}  // namespace rehearse::testing
