// Tensor and sequence parallelism, for real on up to eight ranks, against one process that runs the
// whole network: the same first weights to the bit, and the same training but for the order of
// sums.
#include <gtest/gtest.h>

#include "model/plan/layout.h"
#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::difference;
using testing::executable;
using testing::train_locally;

constexpr std::int64_t kSteps = 3;
constexpr std::int64_t kMicroBatches = 4;  // of the global batch: 16 samples, four each

// 22 tokens, so that four ranks have two of padding.
ModelSpec gpt(bool tied = false) {
  return {"gpt",
          {{"layers", {4}},
           {"width", {16}},
           {"heads", {4}},
           {"vocabulary", {22}},
           {"sequence", {8}},
           {"positions", {10}},
           {"tied", {tied ? 1 : 0}}}};
}

ModelSpec llama() {
  return {"llama",
          {{"layers", {4}},
           {"width", {16}},
           {"hidden", {24}},
           {"heads", {4}},
           {"kv_heads", {2}},
           {"vocabulary", {22}},
           {"sequence", {8}}}};
}

struct Way {
  std::string name;
  std::int64_t ranks;
  StrategySpec strategy;
  ModelSpec model = gpt();
  friend void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }
};

StrategySpec tensor(std::int64_t ways, bool by_rows, std::int64_t micro_batches) {
  StrategySpec strategy = testing::data_parallel("tensor", Bytes::kib(3));
  strategy.micro_batches = micro_batches;
  strategy.tensor = TensorSpec{ways, by_rows};
  return strategy;
}

StrategySpec with(StrategySpec strategy, Sharding sharding) {
  strategy.sharding = sharding;
  return strategy;
}
StrategySpec with(StrategySpec strategy, Recomputation recomputation) {
  strategy.recomputation = recomputation;
  return strategy;
}
StrategySpec overlapped(StrategySpec strategy) {
  strategy.tensor->overlap = true;
  return strategy;
}
StrategySpec in_stages(const std::string& schedule, bool by_rows, bool in_shares = false) {
  StrategySpec strategy = testing::pipeline(schedule, 2, kMicroBatches);
  strategy.tensor = TensorSpec{2, by_rows};
  strategy.pipeline->scatter_gather = in_shares;
  return strategy;
}
StrategySpec in_subnetworks(bool by_rows) {
  StrategySpec strategy = testing::subnetwork({1, 1});
  strategy.micro_batches = kMicroBatches / 4;
  strategy.tensor = TensorSpec{2, by_rows};
  return strategy;
}

std::vector<Way> ways() {
  std::vector<Way> all;
  for (const bool by_rows : {false, true}) {
    const auto add = [&](const std::string& name, std::int64_t ranks, const StrategySpec& strategy,
                         const ModelSpec& model = gpt()) {
      all.push_back({name + (by_rows ? "_by_rows" : ""), ranks, strategy, model});
    };
    add("two", 2, tensor(2, by_rows, 4));
    add("four", 4, tensor(4, by_rows, 4));
    add("two_replicas", 4, tensor(2, by_rows, 2));
    add("tied", 4, tensor(4, by_rows, 4), gpt(true));
    add("llama", 4, tensor(2, by_rows, 2), llama());
    add("overlapped", 4, overlapped(tensor(2, by_rows, 2)), llama());
    add("recomputed", 2, with(tensor(2, by_rows, 4), Recomputation::full));
    add("selective", 2, with(tensor(2, by_rows, 4), Recomputation::selective));
    add("zero1", 4, with(tensor(2, by_rows, 2), Sharding::optimizer_state), gpt(true));
    add("zero3", 4, with(tensor(2, by_rows, 2), Sharding::parameters));
    add("stages", 4, in_stages("1f1b", by_rows));
    add("zbv", 4, in_stages("zb-v", by_rows), gpt(true));
    add("interleaved", 4, in_stages("interleaved", by_rows), llama());
    add("subnetworks", 8, in_subnetworks(by_rows));
  }
  all.push_back({"shares", 4, in_stages("1f1b", false, true)});
  all.push_back({"dropout", 4, tensor(4, false, 4), testing::with_dropout(gpt())});
  return all;
}

Plan reference_plan(const Way& way) {
  return executable(testing::accumulation(kMicroBatches), 1, way.model);
}

class TensorParallel : public ::testing::TestWithParam<Way> {};

TEST_P(TensorParallel, TrainsTheSameModel) {
  const Way& way = GetParam();
  const Plan plan = executable(way.strategy, way.ranks, way.model);
  ASSERT_EQ(plan.micro_batch_samples, 4) << "the same micro-batches as the reference";
  const auto reference = train_locally(reference_plan(way), kSteps);
  const auto run = train_locally(plan, kSteps);
  EXPECT_EQ(run.first_step->weights, reference.first_step->weights) << "slices of the same weights";
  EXPECT_LT(difference(run.first_step->gradients, reference.first_step->gradients), 1e-11);
  EXPECT_LT(difference(run.weights, reference.weights), 1e-11);
  ASSERT_EQ(run.losses.size(), reference.losses.size());
  for (std::size_t step = 0; step < run.losses.size(); ++step)
    EXPECT_NEAR(run.losses[step], reference.losses[step], 1e-10) << "step " << step;
  EXPECT_EQ(exec::differing_copies(run.ranks), "");
  for (std::size_t r = 0; r < plan.ranks.size(); ++r)
    EXPECT_EQ(run.ranks[r].arena_extent, lay_out(program_of(plan, RankId(r))).arena)
        << "rank " << r;
}

// The norm is of the whole model: what ranks hold alike counts once.
TEST_P(TensorParallel, ClipsByTheSameNorm) {
  const Way& way = GetParam();
  Optimizer optimizer{.rule = Sgd{0.9}, .lr = 0.1};
  optimizer.clip = 0.25;
  const auto reference = train_locally(
      executable(testing::accumulation(kMicroBatches), 1, way.model, optimizer), kSteps);
  const auto run = train_locally(executable(way.strategy, way.ranks, way.model, optimizer), kSteps);
  EXPECT_LT(difference(run.weights, reference.weights), 1e-11);
  ASSERT_EQ(run.gradient_norms.size(), kSteps);
  for (std::size_t step = 0; step < run.gradient_norms.size(); ++step)
    EXPECT_NEAR(run.gradient_norms[step] / reference.gradient_norms[step], 1, 1e-9);
}

INSTANTIATE_TEST_SUITE_P(Ways, TensorParallel, ::testing::ValuesIn(ways()),
                         [](const auto& way) { return way.param.name; });

// On the library's kernels; in bf16 terms of sums over ranks are rounded once more, which training
// amplifies as any rounding of bf16 (bf16_test.cc).
TEST(TensorParallelKernels, TrainAlike) {
  for (const auto& [type, backend] :
       {std::pair(DataType::fp32, "onednn"), std::pair(DataType::bf16, "reference")}) {
    Training training = testing::training(16);
    training.dtype = type;
    for (const ModelSpec& model : {gpt(true), llama()}) {
      const auto layers = static_cast<double>(build_net(model)->layers.size());
      const double error = type == DataType::fp32 ? 1e-5 : 0x1p-8 * std::sqrt(layers);
      exec::TrainOptions options = testing::options_of(kSteps);
      options.evaluate_every = kSteps;
      const auto reference = train_locally(
          executable(testing::accumulation(kMicroBatches), 1, model, training), options, backend);
      for (const bool by_rows : {false, true}) {
        const auto run = train_locally(executable(tensor(2, by_rows, 2), 4, model, training),
                                       options, backend, 2);
        ASSERT_EQ(run.losses.size(), reference.losses.size());
        EXPECT_NEAR(run.losses[0] / reference.losses[0], 1, error / 8);
        for (std::size_t step = 0; step < run.losses.size(); ++step)
          EXPECT_NEAR(run.losses[step] / reference.losses[step], 1, error);
        ASSERT_EQ(run.evaluations.size(), 1);
        EXPECT_NEAR(run.evaluations[0].evaluation.loss / reference.evaluations[0].evaluation.loss,
                    1, error);
      }
    }
  }
}

TEST(TensorParallelHash, IsOfTheWholeModel) {
  const exec::TrainOptions options = testing::options_of(1);
  const auto moved = train_locally(executable(tensor(2, false, 2), 4, gpt(true)), options);
  // Of weights that no rounding tells apart: those of a step that moves nothing.
  const Optimizer still{.rule = Sgd{0}, .lr = 0};
  const auto whole =
      train_locally(executable(testing::accumulation(kMicroBatches), 1, gpt(true), still), options);
  EXPECT_NE(moved.weight_hashes, whole.weight_hashes);
  for (const bool by_rows : {false, true}) {
    for (const Sharding sharding : {Sharding::none, Sharding::parameters}) {
      const auto sliced = train_locally(
          executable(with(tensor(2, by_rows, 2), sharding), 4, gpt(true), still), options);
      EXPECT_EQ(sliced.weight_hashes, whole.weight_hashes);
    }
  }
}

}  // namespace
}  // namespace rehearse
