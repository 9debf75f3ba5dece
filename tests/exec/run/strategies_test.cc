// Every strategy that the executor runs, for real on up to four ranks, against one process that
// accumulates over the same micro-batches: the same mathematics, hence the same losses and weights
// but for the order of sums (fp64: some hundred roundings of 1e-16, amplified by three steps).
#include <gtest/gtest.h>

#include "model/plan/layout.h"
#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::difference;
using testing::executable;
using testing::train_locally;
using testing::with_dropout;

constexpr std::int64_t kSteps = 3;
constexpr std::int64_t kMicroBatches = 8;  // of the global batch: 16 samples, two each

ModelSpec tiny_gpt(bool tied, std::int64_t layers = 6) {
  return {"gpt",
          {{"layers", {layers}},
           {"width", {16}},
           {"heads", {2}},
           {"vocabulary", {20}},
           {"sequence", {6}},
           {"positions", {6}},
           {"tied", {tied ? 1 : 0}}}};
}

// One entry for every way to split; micro-batches per replica so that there are eight in all.
struct Way {
  std::string name;
  std::int64_t ranks = 4;
  StrategySpec strategy;
  ModelSpec model = tiny_gpt(false);
  friend void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }
};

StrategySpec zero(Sharding sharding, std::int64_t prefetch = 1) {
  StrategySpec strategy = testing::data_parallel("zero", Bytes::kib(3));
  strategy.sharding = sharding;
  strategy.prefetch = prefetch;
  strategy.micro_batches = 2;
  return strategy;
}

StrategySpec recomputed(StrategySpec strategy) {
  strategy.recomputation = Recomputation::full;
  return strategy;
}

StrategySpec pipeline_zero(const std::string& schedule, Sharding sharding) {
  StrategySpec strategy = testing::pipeline(schedule, 2, kMicroBatches / 2);
  strategy.sharding = sharding;
  strategy.bucket = Bytes::kib(3);
  return strategy;
}

std::vector<Way> data_ways() {
  StrategySpec late = testing::data_parallel("late", Bytes::kib(4));
  late.overlap = false;
  late.micro_batches = 2;
  StrategySpec subnetwork = testing::subnetwork({1, 1});
  subnetwork.sharding = Sharding::optimizer_state;
  subnetwork.micro_batches = 2;
  return {
      {"no_overlap", 4, late},
      {"zero1", 4, zero(Sharding::optimizer_state)},
      {"zero2", 4, zero(Sharding::gradients)},
      {"zero3", 4, zero(Sharding::parameters)},
      {"zero3_no_prefetch", 4, zero(Sharding::parameters, 0)},
      {"zero3_far_prefetch", 4, zero(Sharding::parameters, 3)},
      {"zero1_resnet", 4, zero(Sharding::optimizer_state), testing::small_resnet()},
      {"zero3_resnet", 4, zero(Sharding::parameters), testing::small_resnet()},
      {"zero3_tied", 4, zero(Sharding::parameters), tiny_gpt(true)},
      {"zero3_recomputed", 4, recomputed(zero(Sharding::parameters))},
      {"recomputed_resnet", 1, recomputed(testing::accumulation(8)), testing::small_resnet()},
      {"subnetwork_zero1", 4, subnetwork},
  };
}

// For what its stages exchange.
StrategySpec waiting(StrategySpec strategy, StageExchange exchange) {
  strategy.pipeline->exchange = exchange;
  return strategy;
}

std::vector<Way> pipeline_ways() {
  std::vector<Way> ways;
  for (const PipelineSchedule& schedule : pipeline_schedules()) {
    const std::string name(schedule.name);
    std::string word = name;
    std::erase(word, '-');
    ways.push_back({word, 4, testing::pipeline(name, 4, kMicroBatches)});
    ways.push_back({word + "_two_pipelines", 4, testing::pipeline(name, 2, kMicroBatches / 2)});
    ways.push_back(
        {word + "_recomputed", 2, recomputed(testing::pipeline(name, 2, kMicroBatches))});
    ways.push_back({word + "_zero3", 4, pipeline_zero(name, Sharding::parameters)});
    ways.push_back({word + "_waiting", 4,
                    waiting(testing::pipeline(name, 4, kMicroBatches), StageExchange::batched)});
    ways.push_back({word + "_in_turn", 4,
                    waiting(testing::pipeline(name, 4, kMicroBatches), StageExchange::serial)});
  }
  ways.push_back({"zero1_in_pipelines", 4, pipeline_zero("1f1b", Sharding::optimizer_state)});
  ways.push_back({"zero2_in_pipelines", 4, pipeline_zero("zb-h1", Sharding::gradients)});
  ways.push_back({"tied_zbv", 4, testing::pipeline("zb-v", 4, kMicroBatches), tiny_gpt(true)});
  ways.push_back({"tied_zbh1", 4, testing::pipeline("zb-h1", 4, kMicroBatches), tiny_gpt(true)});
  ways.push_back({"resnet_interleaved", 4, testing::pipeline("interleaved", 4, kMicroBatches),
                  testing::small_resnet()});
  return ways;
}

// The mask of a sample is the same whoever computes it, and whenever: in another micro-batch of the
// rank, in a later pass of a split backward, again.
std::vector<Way> dropout_ways() {
  const ModelSpec gpt = with_dropout(tiny_gpt(false));
  StrategySpec subnetwork = testing::subnetwork({1, 1});
  subnetwork.micro_batches = 2;
  return {
      {"zero3_dropout", 4, zero(Sharding::parameters), gpt},
      {"zero3_recomputed_dropout", 4, recomputed(zero(Sharding::parameters)), gpt},
      {"recomputed_dropout", 1, recomputed(testing::accumulation(kMicroBatches)), gpt},
      {"pipeline_dropout", 4, testing::pipeline("1f1b", 4, kMicroBatches), gpt},
      {"interleaved_dropout", 4, testing::pipeline("interleaved", 2, kMicroBatches / 2), gpt},
      {"zbh1_dropout", 4, testing::pipeline("zb-h1", 4, kMicroBatches), gpt},
      {"zbv_recomputed_dropout", 2, recomputed(testing::pipeline("zb-v", 2, kMicroBatches)), gpt},
      {"zero1_in_pipelines_dropout", 4, pipeline_zero("1f1b", Sharding::optimizer_state), gpt},
      {"subnetwork_dropout", 4, subnetwork, gpt},
      {"tied_dropout", 4, zero(Sharding::gradients), with_dropout(tiny_gpt(true))},
  };
}

std::vector<Way> all_ways() {
  std::vector<Way> ways = data_ways();
  for (const auto& more : {pipeline_ways(), dropout_ways()})
    ways.insert(ways.end(), more.begin(), more.end());
  return ways;
}

class EveryWay : public ::testing::TestWithParam<Way> {};

TEST_P(EveryWay, TrainsTheSameModel) {
  const Way& way = GetParam();
  const Plan plan = executable(way.strategy, way.ranks, way.model);
  ASSERT_EQ(plan.micro_batch_samples, 2) << "the same micro-batches as the reference";
  const auto reference =
      train_locally(executable(testing::accumulation(kMicroBatches), 1, way.model), kSteps);
  const auto run = train_locally(plan, kSteps);
  EXPECT_LT(difference(run.weights, reference.weights), 1e-11);
  ASSERT_EQ(run.losses.size(), reference.losses.size());
  for (std::size_t step = 0; step < run.losses.size(); ++step)
    EXPECT_NEAR(run.losses[step], reference.losses[step], 1e-10) << "step " << step;
  EXPECT_EQ(exec::differing_copies(run.ranks), "");
  // The arena is the plan's, and every op ran once per step.
  std::size_t ops = 0;
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const RankProgram& program = program_of(plan, RankId(r));
    ops += program.ops.size();
    EXPECT_EQ(run.ranks[r].arena_extent, lay_out(program).arena) << "rank " << r;
  }
  EXPECT_EQ(run.stretches.front().timeline.spans.size(), ops * kSteps);
}

INSTANTIATE_TEST_SUITE_P(Strategies, EveryWay, ::testing::ValuesIn(all_ways()),
                         [](const auto& way) { return way.param.name; });

ModelSpec tiny_llama() {
  return {"llama",
          {{"layers", {6}},
           {"width", {16}},
           {"hidden", {24}},
           {"heads", {4}},
           {"kv_heads", {2}},
           {"vocabulary", {20}},
           {"sequence", {6}}}};
}

// Rounding that differs is amplified step by step, some million times in fifty: from 1e-16 in fp64
// it is far from what an error in the mathematics would make of the losses.
TEST(Strategies, StayTogetherForFiftySteps) {
  constexpr std::int64_t kMany = 50;
  for (const ModelSpec& model : {tiny_gpt(false), tiny_llama()}) {
    const auto reference =
        train_locally(executable(testing::accumulation(kMicroBatches), 1, model), kMany);
    for (const StrategySpec& strategy : {zero(Sharding::gradients), zero(Sharding::parameters),
                                         recomputed(testing::pipeline("zb-v", 4, 8)),
                                         pipeline_zero("1f1b", Sharding::optimizer_state)}) {
      const auto run = train_locally(executable(strategy, 4, model), kMany);
      ASSERT_EQ(run.losses.size(), reference.losses.size());
      for (std::size_t step = 0; step < run.losses.size(); ++step) {
        EXPECT_NEAR(run.losses[step] / reference.losses[step], 1, 1e-7)
            << model.kind << ", " << strategy.name << ", step " << step;
      }
      EXPECT_LT(run.losses.back(), 0.9 * run.losses.front()) << "it learns";
    }
  }
}

// ---- clipped gradients -------------------------------------------------------------------------

// Less than half of the gradients' norm, in all of these networks.
constexpr double kClip = 0.25;

Optimizer clipped_sgd(double clip, double lr = 0.1, double momentum = 0.9) {
  Optimizer optimizer{.rule = Sgd{momentum}, .lr = lr};
  optimizer.clip = clip;
  return optimizer;
}

class ClippedWay : public ::testing::TestWithParam<Way> {};

// The norm is of the whole model, whoever holds which part of it how often.
TEST_P(ClippedWay, TrainsTheSameModel) {
  const Way& way = GetParam();
  const auto reference = train_locally(
      executable(testing::accumulation(kMicroBatches), 1, way.model, clipped_sgd(kClip)), kSteps);
  const auto run =
      train_locally(executable(way.strategy, way.ranks, way.model, clipped_sgd(kClip)), kSteps);
  EXPECT_LT(difference(run.weights, reference.weights), 1e-11);
  ASSERT_EQ(run.gradient_norms.size(), kSteps);
  for (std::size_t step = 0; step < run.gradient_norms.size(); ++step) {
    EXPECT_GT(run.gradient_norms[step], 2 * kClip) << "it binds";
    EXPECT_NEAR(run.gradient_norms[step] / reference.gradient_norms[step], 1, 1e-9);
  }
}

INSTANTIATE_TEST_SUITE_P(Strategies, ClippedWay, ::testing::ValuesIn(all_ways()),
                         [](const auto& way) { return way.param.name; });

// The square root of the sum of squares of all differences.
double distance(const exec::Weights& a, const exec::Weights& b) {
  double sum = 0;
  for (std::size_t p = 0; p < a.size(); ++p) {
    for (std::size_t at = 0; at < a[p].size(); at += sizeof(double)) {
      double x = 0, y = 0;
      std::memcpy(&x, a[p].data() + at, sizeof x);
      std::memcpy(&y, b[p].data() + at, sizeof y);
      sum += (x - y) * (x - y);
    }
  }
  return std::sqrt(sum);
}

exec::Weights zeros_like(const exec::Weights& weights) {
  exec::Weights zeros;
  for (const auto& parameter : weights)
    zeros.emplace_back(parameter.size());
  return zeros;
}

// One step of plain SGD moves the weights by lr times the clipped gradients, whose norm is
// clip n / (n + 1e-6), n being the gradients' own: that of their assembled copy, where every
// parameter stands once, also where few hold it.
TEST(Clipping, MovesTheWeightsByTheRateTimesTheNorm) {
  constexpr double kRate = 0.5;
  StrategySpec two_stages = testing::subnetwork({1, 2}, 2);
  two_stages.pipeline = PipelineSpec{2, "1f1b", 2};
  StrategySpec sharded = testing::subnetwork({1, 2});
  sharded.sharding = Sharding::parameters;
  for (const StrategySpec& strategy :
       {testing::data_parallel("ddp", Bytes::kib(3)), zero(Sharding::gradients),
        testing::pipeline("1f1b", 4, 8), testing::subnetwork({1, 2}), testing::subnetwork({1, 4}),
        sharded, two_stages}) {
    const auto run =
        train_locally(executable(strategy, 4, tiny_gpt(false), clipped_sgd(kClip, kRate, 0)), 1);
    const auto& [weights, gradients] = *run.first_step;
    const double norm = distance(gradients, zeros_like(gradients));
    EXPECT_GT(norm, 2 * kClip) << strategy.name;
    EXPECT_NEAR(run.gradient_norms.at(0) / norm, 1, 1e-12) << strategy.name;
    const double moved = kRate * kClip * norm / (norm + 1e-6);
    EXPECT_NEAR(distance(run.weights, weights) / moved, 1, 1e-12) << strategy.name;
  }
}

// A norm that is never reached changes no bit.
TEST(Clipping, LeavesShortGradientsAsTheyAre) {
  for (const StrategySpec& strategy : {zero(Sharding::parameters), testing::subnetwork({1, 2})}) {
    Optimizer optimizer = clipped_sgd(1e9);
    const auto clipped = train_locally(executable(strategy, 4, tiny_gpt(false), optimizer), kSteps);
    optimizer.clip.reset();
    const auto plain = train_locally(executable(strategy, 4, tiny_gpt(false), optimizer), kSteps);
    EXPECT_EQ(clipped.weights, plain.weights) << strategy.name;
    EXPECT_TRUE(plain.gradient_norms.empty());
  }
}

// ---- exact reductions --------------------------------------------------------------------------

Plan exact_plan(const Way& way, const Optimizer& optimizer = testing::training(16).optimizer) {
  return executable(way.strategy, way.ranks, way.model, optimizer, Reduction::exact);
}

// One process that accumulates over the same micro-batches.
Plan exact_reference(const ModelSpec& model,
                     const Optimizer& optimizer = testing::training(16).optimizer) {
  return exact_plan({"reference", 1, testing::accumulation(kMicroBatches), model}, optimizer);
}

// Sums of one rank's micro-batches go on over the ranks only where they are whole nodes of the
// tree; and the two uses of a tied table meet only where they are on one rank.
bool can_be_exact(const Way& way) {
  const Mesh mesh = *resolve_mesh(way.strategy, way.ranks);
  return !check_exact(way.strategy, mesh, *build_net(way.model));
}

std::vector<Way> exact_ways() {
  std::vector<Way> ways;
  for (Way& way : all_ways()) {
    if (can_be_exact(way)) ways.push_back(std::move(way));
  }
  StrategySpec halves = testing::subnetwork({1, 1}, 2);
  halves.data = 2;
  halves.micro_batches = 2;
  ways.push_back({"subnetwork_in_replicas", 4, halves});
  ways.push_back({"one_micro_batch_each", 8, testing::data_parallel("ddp", Bytes::kib(3))});
  StrategySpec tied = zero(Sharding::gradients);
  ways.push_back({"zero2_tied", 4, tied, tiny_gpt(true)});
  return ways;
}

class ExactWay : public ::testing::TestWithParam<Way> {};

// The same bits after every step, whoever had which micro-batch, and when.
TEST_P(ExactWay, TrainsTheSameBits) {
  const Way& way = GetParam();
  const auto reference = train_locally(exact_reference(way.model), kSteps);
  const auto run = train_locally(exact_plan(way), kSteps);
  EXPECT_EQ(run.weight_hashes, reference.weight_hashes);
  EXPECT_EQ(run.weights, reference.weights);
  EXPECT_EQ(run.losses, reference.losses);
}

// The norm, too, however the gradients are dealt out: with Adam, whose moments feel every bit.
TEST_P(ExactWay, ClipsTheSameBits) {
  const Way& way = GetParam();
  Optimizer optimizer{.rule = Adam{.decoupled = true}, .lr = 1e-3, .weight_decay = 0.1};
  optimizer.clip = kClip;
  const auto reference = train_locally(exact_reference(way.model, optimizer), kSteps);
  const auto run = train_locally(exact_plan(way, optimizer), kSteps);
  EXPECT_GT(run.gradient_norms.at(0), kClip) << "it binds";
  EXPECT_EQ(run.gradient_norms, reference.gradient_norms);
  EXPECT_EQ(run.weight_hashes, reference.weight_hashes);
  EXPECT_EQ(run.weights, reference.weights);
}

INSTANTIATE_TEST_SUITE_P(Strategies, ExactWay, ::testing::ValuesIn(exact_ways()),
                         [](const auto& way) { return way.param.name; });

// With the kernels of the library, too, on any number of threads; an odd number of micro-batches
// on one rank, or of ranks, is a tree as well.
TEST(ExactReductions, AreThoseOfTheLibraryOnAnyNumberOfThreads) {
  const auto train = [](const Plan& plan, int threads) {
    return train_locally(plan, kSteps, 0, Seconds::seconds(300), "onednn", threads);
  };
  for (const ModelSpec& model : {tiny_gpt(false, 2), with_dropout(tiny_gpt(false, 2)), tiny_llama(),
                                 testing::small_resnet()}) {
    const auto reference = train(exact_reference(model), 1);
    EXPECT_EQ(train(exact_reference(model), 3).weight_hashes, reference.weight_hashes);
    for (const StrategySpec& strategy :
         {zero(Sharding::none), recomputed(zero(Sharding::parameters)),
          testing::pipeline("zb-v", 2, 4), testing::pipeline("1f1b", 4, 8)}) {
      const auto run = train(exact_plan({"way", 4, strategy, model}), 1);
      EXPECT_EQ(run.weight_hashes, reference.weight_hashes) << model.kind << strategy.name;
      EXPECT_EQ(run.losses, reference.losses) << model.kind << strategy.name;
    }
  }
}

// Micro-batches of one, two and four samples of the first step (the batches of later ones follow
// from the size): the sums differ, the masks do not.
TEST(Dropout, DoesNotDependOnTheMicroBatchesSize) {
  const auto train = [](std::int64_t micro_batches, const ModelSpec& model) {
    return train_locally(executable(testing::accumulation(micro_batches), 1, model), 1).weights;
  };
  const ModelSpec model = tiny_gpt(false), dropping = with_dropout(model);
  const exec::Weights reference = train(kMicroBatches, dropping);
  EXPECT_LT(difference(train(4, dropping), reference), 1e-11);
  EXPECT_LT(difference(train(16, dropping), reference), 1e-11);
  EXPECT_GT(difference(train(kMicroBatches, model), reference), 1e-3) << "it is felt";
}

TEST(ExactReductions, ClipTheSameBitsOnAnyNumberOfThreads) {
  const Optimizer optimizer = clipped_sgd(kClip);
  const auto train = [&](const StrategySpec& strategy, std::int64_t ranks, int threads) {
    const Plan plan = exact_plan({"way", ranks, strategy}, optimizer);
    return train_locally(plan, kSteps, 0, Seconds::seconds(300), "onednn", threads);
  };
  const auto reference = train(testing::accumulation(kMicroBatches), 1, 1);
  EXPECT_EQ(train(testing::accumulation(kMicroBatches), 1, 3).weight_hashes,
            reference.weight_hashes);
  EXPECT_EQ(train(zero(Sharding::parameters), 4, 1).weight_hashes, reference.weight_hashes);
  EXPECT_EQ(train(testing::pipeline("zb-v", 2, 4), 4, 1).gradient_norms, reference.gradient_norms);
}

// It is the order that does it: sums as they come have other bits. And the hash sees them.
TEST(ExactReductions, DifferFromFastOnes) {
  Plan fast = exact_reference(tiny_gpt(false));
  const auto exact = train_locally(fast, 1);
  fast = executable(testing::accumulation(kMicroBatches), 1, tiny_gpt(false));
  fast.training.dtype = DataType::fp32;
  const auto plan = build_plan(testing::accumulation(kMicroBatches), tiny_gpt(false), fast.training,
                               1, even_costs(8));
  ASSERT_TRUE(plan.ok());
  const auto run = train_locally(*plan, 1);
  EXPECT_NE(run.weight_hashes, exact.weight_hashes);
  EXPECT_NEAR(run.losses[0], exact.losses[0], 1e-5);
}

// Batch normalisation amplifies rounding so far that fast sums part ways within steps: exact ones
// stay together for good.
TEST(ExactReductions, KeepBatchNormTogetherForFiftySteps) {
  const auto reference = train_locally(exact_reference(testing::small_resnet()), 50);
  const auto run = train_locally(
      exact_plan({"zero", 4, zero(Sharding::gradients), testing::small_resnet()}), 50);
  EXPECT_EQ(run.weight_hashes, reference.weight_hashes);
  EXPECT_EQ(run.losses, reference.losses);
}

// Moments and weight decay of a shard are those of the whole, wherever buckets and parameters end.
// Epsilon is large: Adam divides by the root of a square, and near zero rounding would be
// magnified.
TEST(Optimizers, MoveShardsAsTheyMoveTheWhole) {
  Optimizer adamw{.rule = Adam{.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-3, .decoupled = true},
                  .lr = 0.01,
                  .weight_decay = 0.1,
                  .schedule = {.warmup = 2, .decay = RateDecay::cosine, .last = 0.1}};
  const auto reference = train_locally(
      executable(testing::accumulation(kMicroBatches), 1, tiny_gpt(false), adamw), kSteps);
  for (const Sharding sharding :
       {Sharding::none, Sharding::optimizer_state, Sharding::gradients, Sharding::parameters}) {
    StrategySpec strategy = testing::data_parallel("adamw", Bytes::bytes(1000));
    strategy.sharding = sharding;
    strategy.micro_batches = 2;
    const auto run = train_locally(executable(strategy, 4, tiny_gpt(false), adamw), kSteps);
    EXPECT_LT(difference(run.weights, reference.weights), 1e-11) << to_string(sharding);
  }
  adamw.weight_decay = 0;
  const auto other = train_locally(
      executable(testing::accumulation(kMicroBatches), 1, tiny_gpt(false), adamw), kSteps);
  EXPECT_GT(difference(other.weights, reference.weights), 1e-5) << "decay is felt";
}

// Selective recomputation is another kernel for attention, with the same result.
TEST(Recomputation, OfAttentionTrainsTheSameModel) {
  ModelSpec model = tiny_gpt(false, 2);
  model.fields["fused"] = {0};
  StrategySpec selective = testing::accumulation(2);
  selective.recomputation = Recomputation::selective;
  const auto reference = train_locally(executable(testing::accumulation(2), 1, model), kSteps);
  const auto run = train_locally(executable(selective, 1, model), kSteps);
  EXPECT_LT(difference(run.weights, reference.weights), 1e-11);
}

// Passes that run in the order of the micro-batches add the same numbers in the same order: the
// same bits, whatever the schedule, and whether the forward pass is run twice.
TEST(Pipelines, OfOneOrderGiveTheSameBits) {
  const auto reference =
      train_locally(executable(testing::pipeline("gpipe", 4, 8), 4, tiny_gpt(false)), kSteps);
  for (const char* schedule : {"1f1b", "zb-h1", "zb-h2", "zb-auto"}) {
    const auto run =
        train_locally(executable(testing::pipeline(schedule, 4, 8), 4, tiny_gpt(false)), kSteps);
    EXPECT_EQ(run.weights, reference.weights) << schedule;
    EXPECT_EQ(run.losses, reference.losses) << schedule;
  }
  const auto twice = train_locally(
      executable(recomputed(testing::pipeline("1f1b", 4, 8)), 4, tiny_gpt(false)), kSteps);
  EXPECT_EQ(twice.weights, reference.weights);
}

// Each member of a reduce-scatter has the sum of its chunk, added up around the same ring whatever
// happens to it afterwards: how much of the state is sharded does not change a bit.
TEST(Zero, LevelsGiveTheSameBitsWithOneMicroBatch) {
  const auto with = [](Sharding sharding) {
    StrategySpec strategy = testing::data_parallel("zero", Bytes::kib(3));
    strategy.sharding = sharding;
    return train_locally(executable(strategy, 4, tiny_gpt(false)), kSteps);
  };
  const auto first = with(Sharding::optimizer_state), second = with(Sharding::gradients);
  EXPECT_EQ(first.weights, second.weights);
  EXPECT_EQ(first.losses, second.losses);
}

// Gradients of a unit are summed over its c holders and divided by c, or by all N workers.
TEST(Subnetworks, AverageOverHoldersOrOverAll) {
  StrategySpec over_holders = testing::subnetwork({1, 2}), over_all = over_holders;
  over_all.subnetwork->averaging = Averaging::all;
  const Plan plan = executable(over_holders, 4, tiny_gpt(false));
  const Net net = *whole_net(plan);
  const auto holders = train_locally(plan, 1).first_step->gradients;
  const auto all = train_locally(executable(over_all, 4, tiny_gpt(false)), 1).first_step->gradients;
  for (std::size_t p = 0; p < holders.size(); ++p) {
    const double factor = net.parameters[p].unit ? 0.5 : 1;
    for (std::size_t at = 0; at < holders[p].size(); at += sizeof(double)) {
      double a = 0, b = 0;
      std::memcpy(&a, holders[p].data() + at, sizeof a);
      std::memcpy(&b, all[p].data() + at, sizeof b);
      EXPECT_EQ(b, factor * a) << net.parameters[p].name;
    }
  }
}

// Blocks that are always held are summed over all, and no branch of theirs is scaled at the test.
TEST(Subnetworks, HoldAlwaysWhatTheyAreTold) {
  StrategySpec strategy = testing::subnetwork({1, 2});
  strategy.subnetwork->always_held = {"decoder2", "decoder5"};
  const Plan plan = executable(strategy, 4, tiny_gpt(false));
  EXPECT_EQ(whole_net(plan)->units.size(), 4u);
  const auto run = train_locally(plan, kSteps, kSteps);
  EXPECT_EQ(exec::differing_copies(run.ranks), "");
  EXPECT_EQ(run.evaluations.size(), 1u);
}

// What a rank hands to the network is what its plan's step lists and messages say.
TEST(Zero, SendsWhatThePlanSays) {
  for (const Sharding sharding :
       {Sharding::optimizer_state, Sharding::gradients, Sharding::parameters}) {
    const Plan plan = executable(zero(sharding), 4, tiny_gpt(false));
    const auto run = train_locally(plan, kSteps);
    for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
      std::vector<Bytes> planned(kOpKindCount);
      for (const Op& op : program_of(plan, RankId(r)).ops) {
        if (!is_collective(op.kind)) continue;
        const Collective& it = collective_of(op);
        const Group& group = group_of(plan, RankId(r), op);
        planned[static_cast<std::size_t>(op.kind)] += Bytes::bytes(
            it.element_bytes * elements_sent(shape_of(op, group.members.size()),
                                             member_number(group, RankId(r)), it.end - it.begin));
      }
      for (std::size_t kind = 0; kind < planned.size(); ++kind)
        EXPECT_EQ(run.ranks[r].traffic.sent_by_kind[kind], kSteps * planned[kind]);
    }
  }
}

}  // namespace
}  // namespace rehearse
