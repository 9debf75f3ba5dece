#include "tests/plan/good_plans.h"

#include <gtest/gtest.h>

#include "tests/schedule/plans.h"

namespace rehearse::testing {
namespace {

constexpr std::int64_t kBatch = 24;

ModelSpec small_mlp() {
  return {"mlp", {{"image", {2, 2, 1}}, {"hidden", {3, 3, 3}}, {"classes", {2}}}};
}

// ---- strategies --------------------------------------------------------------------------------

StrategySpec sharded(StrategySpec strategy, Sharding sharding) {
  strategy.sharding = sharding;
  return strategy;
}
StrategySpec sharded(Sharding sharding, std::int64_t micro_batches) {
  StrategySpec strategy = data_parallel("sharded", Bytes::bytes(100));
  strategy.micro_batches = micro_batches;
  return sharded(strategy, sharding);
}

StrategySpec in_buckets(StrategySpec strategy, std::int64_t bytes) {
  strategy.bucket = Bytes::bytes(bytes);
  return strategy;
}

StrategySpec sliced(StrategySpec strategy, bool sequence_parallel) {
  strategy.tensor = TensorSpec{2, sequence_parallel};
  return strategy;
}
StrategySpec tensor(bool sequence_parallel, std::int64_t micro_batches = 1) {
  StrategySpec strategy = data_parallel("tensor", Bytes::bytes(300));
  strategy.micro_batches = micro_batches;
  return sliced(strategy, sequence_parallel);
}

StrategySpec chunked(std::string schedule, std::int64_t micro_batches) {
  StrategySpec strategy = pipeline(std::move(schedule), 2, micro_batches);
  strategy.pipeline->chunks = 2;
  return strategy;
}

StrategySpec recomputing() {
  StrategySpec strategy = data_parallel("full", Bytes::bytes(100));
  strategy.recomputation = Recomputation::full;
  strategy.micro_batches = 2;
  return strategy;
}

StrategySpec shares() {
  StrategySpec strategy = sliced(pipeline("1f1b", 2, 3), false);
  strategy.pipeline->scatter_gather = true;
  return strategy;
}
StrategySpec awaited_shares() {
  StrategySpec strategy = shares();
  strategy.pipeline->schedule = "zb-h1";
  strategy.pipeline->exchange = StageExchange::batched;
  return strategy;
}

StrategySpec workers() {
  return in_buckets(subnetwork({2, 3}, 3), 100);
}

StrategySpec accumulating_backward() {
  StrategySpec strategy = masked_backward(workers());
  strategy.micro_batches = 2;
  return strategy;
}

StrategySpec piped_workers() {
  StrategySpec strategy = subnetwork({1, 2}, 2);
  strategy.pipeline = PipelineSpec{4, "gpipe", 2};
  return strategy;
}

StrategySpec nested() {
  StrategySpec strategy = by_width(dealt(AssignmentKind::nested, {{1, 1}, {2, 3}, {1, 3}}));
  strategy.subnetwork->scaling = Scaling::in_training;
  return strategy;
}

StrategySpec parked() {
  return in_buckets(redrawn(dealt(AssignmentKind::rolling, {{2, 3}, {1, 3}, {1, 3}}), 1), 100);
}

// ---- cases -------------------------------------------------------------------------------------

std::vector<PlanCase> fast_cases() {
  return {
      {"ddp", data_parallel("ddp", Bytes::bytes(50)), small_mlp(), 3},
      {"stochastic depth", with_depth(data_parallel("depth", Bytes::bytes(100)), 0.3, 1),
       small_gpt(3, 1), 3},
      {"zero1", sharded(Sharding::optimizer_state, 2), small_mlp(), 3},
      {"zero2", sharded(Sharding::gradients, 2), small_mlp(), 3},
      {"zero3", sharded(Sharding::parameters, 2), small_mlp(), 2},
      {"1f1b", pipeline("1f1b", 3, 4), small_mlp(), 3},
      {"interleaved", chunked("interleaved", 2), small_mlp(), 2},
      {"zb-h1", pipeline("zb-h1", 2, 3), small_mlp(), 2},
      {"zb-v", chunked("zb-v", 2), small_mlp(), 2},
      {"tied 1f1b", pipeline("1f1b", 2, 2), small_gpt(1, 1), 2},
      {"full recomputation", recomputing(), small_gpt(1, 1), 2},
      {"tensor", tensor(false), small_gpt(1, 1), 4},
      {"sequence", tensor(true), small_gpt(1, 0), 4},
      {"sequence x zb-h1", sliced(pipeline("zb-h1", 2, 3), true), small_gpt(1, 0), 4},
      {"shares x 1f1b", shares(), small_gpt(1, 1), 4},
      {"shares x zb-h1, awaited", awaited_shares(), small_gpt(1, 0), 4},
      {"subnetwork", workers(), small_gpt(3, 1), 3},
      {"sharded subnetwork", sharded(workers(), Sharding::parameters), small_gpt(3, 1), 3},
      {"backward masking", masked_backward(workers()), small_gpt(3, 1), 3},
      {"sharded, backward masking", sharded(masked_backward(workers()), Sharding::gradients),
       small_gpt(3, 1), 3},
      {"one holder, backward masking", masked_backward(by_width(subnetwork({1, 3}, 3))),
       small_mlp(), 3},
      {"nested", nested(), small_mlp(), 3},
      {"parked", parked(), small_gpt(3, 1), 3},
      {"zero3 x 1f1b", sharded(pipeline("1f1b", 2, 2), Sharding::parameters), small_mlp(), 4},
      {"zero2 x zb-h1", sharded(pipeline("zb-h1", 2, 3), Sharding::gradients), small_mlp(), 4},
      {"tensor, two micro-batches", tensor(false, 2), small_gpt(1, 0), 4},
      {"sequence, two micro-batches", tensor(true, 2), small_gpt(1, 0), 2},
      {"subnetwork x gpipe", piped_workers(), small_gpt(4, 0), 8},
      // Every parameter is a bucket: residual blocks are cut into several ops.
      {"blocks cut", data_parallel("ddp", Bytes::bytes(1)), small_gpt(1, 0), 2},
      {"blocks cut x 1f1b", in_buckets(pipeline("1f1b", 2, 2), 1), small_gpt(2, 0), 4},
      // Buckets of more than one op.
      {"zero2, wide buckets", in_buckets(sharded(Sharding::gradients, 2), 400), small_gpt(1, 0), 2},
  };
}

std::vector<PlanCase> local_cases() {
  const OuterOptimizer outer{};
  return {
      {"local sgd", local(data_parallel("ddp", Bytes::bytes(50)), 2), small_mlp(), 3},
      {"diloco", local(data_parallel("ddp", Bytes::bytes(100)), 2, outer), small_mlp(), 3},
      {"diloco, between", local(data_parallel("ddp"), 2, outer, false), small_mlp(), 3},
      {"diloco x 1f1b", local(pipeline("1f1b", 2, 2), 2, outer), small_mlp(), 4},
      {"local tensor", local(tensor(false), 2), small_gpt(1, 1), 4},
      {"local subnetwork", local(workers(), 2, outer), small_gpt(3, 1), 3},
      {"ist", local(by_width(subnetwork({1, 3}, 3)), 2), small_mlp(), 3},
  };
}

// Several levels of the tree, with and without a group, in and out of the micro-batches' order.
std::vector<PlanCase> exact_cases() {
  return {
      {"exact accumulation", accumulation(6), small_mlp(), 1},
      {"exact ddp", sharded(Sharding::none, 4), small_mlp(), 3},
      {"exact zero3", sharded(Sharding::parameters, 4), small_mlp(), 2},
      {"exact zb-v", chunked("zb-v", 4), small_mlp(), 4},
      {"exact, backward masking", accumulating_backward(), small_gpt(3, 1), 3},
  };
}

std::vector<PlanCase> clipped_cases() {
  return {
      {"clipped", accumulation(2), small_mlp(), 1},
      {"clipped ddp", data_parallel("ddp", Bytes::bytes(100)), small_mlp(), 3},
      {"clipped zero3", sharded(Sharding::parameters, 2), small_mlp(), 2},
      {"clipped 1f1b", pipeline("1f1b", 2, 2), small_mlp(), 4},
      {"clipped tensor", tensor(false), small_gpt(1, 1), 4},
      {"clipped subnetwork", workers(), small_gpt(3, 1), 3},
      {"clipped, backward masking", masked_backward(workers()), small_gpt(3, 1), 3},
  };
}

// Differences of master copies.
GoodPlan diloco_in_bf16() {
  Training rounded = training(kBatch);
  rounded.dtype = DataType::bf16;
  return {"diloco in bf16",
          *build_plan(local(data_parallel("ddp", Bytes::bytes(50)), 2, OuterOptimizer{}),
                      small_mlp(), rounded, 3, even_costs(4))};
}

void add(std::vector<GoodPlan>& plans, const PlanCase& c, Reduction reduction,
         std::optional<double> clip = std::nullopt) {
  Result<Plan> plan = plan_of(c, kBatch, reduction, clip);
  if (!plan) {
    ADD_FAILURE() << c.name << ": " << format(plan.errors());
    return;
  }
  plans.push_back({c.name, std::move(plan).value()});
}

}  // namespace

ModelSpec small_gpt(std::int64_t layers, std::int64_t tied) {
  return {"gpt",
          {{"layers", {layers}},
           {"width", {4}},
           {"heads", {2}},
           {"vocabulary", {6}},
           {"sequence", {4}},
           {"positions", {4}},
           {"tied", {tied}}}};
}

std::vector<GoodPlan> good_plans() {
  std::vector<GoodPlan> plans;
  for (const PlanCase& c : fast_cases())
    add(plans, c, Reduction::fast);
  for (const PlanCase& c : exact_cases())
    add(plans, c, Reduction::exact);
  for (const PlanCase& c : local_cases()) {
    add(plans, c, Reduction::fast);
    if (c.devices == 4)
      add(plans, {"clipped " + c.name, c.strategy, c.model, c.devices}, Reduction::fast, 1.0);
  }
  plans.push_back(diloco_in_bf16());
  for (const PlanCase& c : clipped_cases())
    add(plans, c, c.devices == 2 ? Reduction::exact : Reduction::fast, 1.0);
  return plans;
}

}  // namespace rehearse::testing
