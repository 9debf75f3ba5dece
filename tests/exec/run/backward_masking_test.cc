// Backward masking (subnetwork data parallelism): every worker runs the whole network and computes
// the weight gradients of its part; whoever does not hold a unit gets its new weights.
#include <gtest/gtest.h>

#include "tests/exec/run/runs.h"

namespace rehearse {
namespace {

using testing::difference;
using testing::executable;
using testing::masked_backward;
using testing::train_locally;

constexpr std::int64_t kSteps = 3;
constexpr std::int64_t kWorkers = 4;

ModelSpec tiny_gpt() {
  return {"gpt",
          {{"layers", {4}},
           {"width", {16}},
           {"heads", {4}},
           {"vocabulary", {20}},
           {"sequence", {6}},
           {"positions", {6}}}};
}

struct Way {
  std::string name;
  StrategySpec strategy;
  ModelSpec model = tiny_gpt();
  friend void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }
};

StrategySpec backward(std::int64_t holders, Sharding sharding = Sharding::none) {
  StrategySpec strategy = masked_backward(testing::subnetwork({holders, kWorkers}, kWorkers));
  strategy.bucket = Bytes::kib(3);
  strategy.sharding = sharding;
  return strategy;
}

std::vector<Way> ways() {
  StrategySpec accumulating = backward(2);
  accumulating.micro_batches = 2;
  StrategySpec recomputed = backward(2);
  recomputed.recomputation = Recomputation::full;
  const ModelSpec resnet = testing::small_resnet();
  return {
      {"one_holder", backward(1)},
      {"two_holders", backward(2)},
      {"three_holders", backward(3)},
      {"zero1", backward(2, Sharding::optimizer_state)},
      {"zero2", backward(3, Sharding::gradients)},
      {"recomputed", recomputed},
      {"width", testing::by_width(backward(2))},
      {"accumulating", accumulating},
      {"resnet", backward(2), resnet},
      {"resnet_width", testing::by_width(backward(3)), resnet},
      {"mlp", testing::by_width(backward(2)), testing::mlp()},
  };
}

class BackwardMasking : public ::testing::TestWithParam<Way> {
 protected:
  const Way& way = GetParam();
  const Plan plan = executable(way.strategy, kWorkers, way.model);
};
INSTANTIATE_TEST_SUITE_P(Ways, BackwardMasking, ::testing::ValuesIn(ways()),
                         [](const auto& way) { return way.param.name; });

// Gradients of the whole network, uncut, on one worker's micro-batches.
exec::Weights gradients_of_worker(const Plan& masked, std::size_t worker) {
  const std::int64_t micro_batches = program_of(masked, RankId(worker)).micro_batches;
  Training training = masked.training;
  training.batch = micro_batches * masked.micro_batch_samples;
  Plan plan =
      *build_plan(testing::accumulation(micro_batches), masked.model, training, 1, even_costs(1));
  plan.ranks[0].first_micro_batch = masked.ranks[worker].first_micro_batch;
  return train_locally(plan, 1).first_step->gradients;
}

std::vector<double> numbers(const std::vector<std::byte>& tensor) {
  std::vector<double> values(tensor.size() / sizeof(double));
  std::memcpy(values.data(), tensor.data(), tensor.size());
  return values;
}

// Of a parameter, or of the part of it that a unit of a width has.
std::vector<double> gradient_of(const exec::Weights& whole, const Net& net, ParameterId id) {
  const Parameter& parameter = net.parameters[id.index()];
  const std::vector<double> all = numbers(whole[parameter.drawn_as.value_or(id).index()]);
  if (!parameter.slice) return all;
  std::vector<double> part;
  for (std::size_t k = 0; k < all.size(); ++k) {
    if (parameter.slice->contains(static_cast<std::int64_t>(k))) part.push_back(all[k]);
  }
  return part;
}

// A unit's gradient is the mean of its holders' own, each of the whole network on its own samples.
TEST_P(BackwardMasking, AveragesTheWholeNetworksGradientsOverTheHolders) {
  const Net net = *whole_net(plan);
  std::vector<exec::Weights> by_worker;
  for (std::size_t w = 0; w < kWorkers; ++w)
    by_worker.push_back(gradients_of_worker(plan, w));
  const auto run = train_locally(plan, 1);
  double largest = 0, apart = 0;
  for (std::size_t p = 0; p < net.parameters.size(); ++p) {
    const auto& unit = net.parameters[p].unit;
    std::vector<double> expected;
    double holders = 0;
    for (std::size_t w = 0; w < kWorkers; ++w) {
      if (unit && !program_of(plan, RankId(w)).subnetwork.holds[unit->index()]) continue;
      const std::vector<double> own = gradient_of(by_worker[w], net, ParameterId(p));
      expected.resize(own.size(), 0);
      for (std::size_t k = 0; k < own.size(); ++k)
        expected[k] += own[k];
      ++holders;
    }
    const std::vector<double> got = numbers(run.first_step->gradients[p]);
    ASSERT_EQ(got.size(), expected.size()) << net.parameters[p].name;
    for (std::size_t k = 0; k < got.size(); ++k) {
      largest = std::max(largest, std::abs(expected[k] / holders));
      apart = std::max(apart, std::abs(got[k] - expected[k] / holders));
    }
  }
  EXPECT_GT(largest, 1e-3);
  EXPECT_LT(apart, 1e-12 * largest);
}

// Everybody has the new weights when a step has ended, held or not, and they learn.
TEST_P(BackwardMasking, LeavesTheSameWeightsEverywhere) {
  const auto run = train_locally(plan, 20);
  EXPECT_EQ(exec::differing_copies(run.ranks), "");
  EXPECT_LT(run.losses.back(), 0.9 * run.losses.front());
  const auto again = train_locally(plan, 20);
  EXPECT_EQ(again.weight_hashes, run.weight_hashes);
}

// The optimizer's state and the gradients may be shared out among the holders: the same sums.
TEST(BackwardMaskingZero, TrainsTheSameModel) {
  const auto reference = train_locally(executable(backward(3), kWorkers, tiny_gpt()), kSteps);
  for (const Sharding sharding : {Sharding::optimizer_state, Sharding::gradients}) {
    const auto run = train_locally(executable(backward(3, sharding), kWorkers, tiny_gpt()), kSteps);
    EXPECT_LT(difference(run.weights, reference.weights), 1e-12) << to_string(sharding);
  }
}

// Stages, and replicas of the workers.
TEST(BackwardMaskingPipeline, TrainsWhatWholeWorkersTrain) {
  StrategySpec whole = masked_backward(testing::subnetwork({1, 2}, 2));
  whole.micro_batches = 4;
  StrategySpec cut = whole;
  cut.micro_batches = 1;
  cut.pipeline = PipelineSpec{2, "zb-h1", 4};
  const auto reference = train_locally(executable(whole, 2, tiny_gpt()), kSteps);
  const auto run = train_locally(executable(cut, 4, tiny_gpt()), kSteps);
  EXPECT_LT(difference(run.weights, reference.weights), 1e-11);
  whole.data = 2;
  whole.micro_batches = 2;
  const Plan replicas = executable(whole, 4, tiny_gpt());
  EXPECT_EQ(exec::differing_copies(train_locally(replicas, kSteps).ranks), "");
}

// Sums over micro-batches and holders that are exact do not depend on how the gradients are shared.
TEST(BackwardMaskingExact, GivesTheSameBitsHoweverTheStateIsShared) {
  const auto train = [](Sharding sharding) {
    StrategySpec strategy = backward(2, sharding);
    strategy.micro_batches = 2;
    return train_locally(executable(strategy, kWorkers, tiny_gpt(), testing::training(16).optimizer,
                                    Reduction::exact),
                         kSteps);
  };
  const auto reference = train(Sharding::none);
  EXPECT_EQ(exec::differing_copies(reference.ranks), "");
  EXPECT_EQ(train(Sharding::optimizer_state).weight_hashes, reference.weight_hashes);
  EXPECT_EQ(train(Sharding::gradients).weight_hashes, reference.weight_hashes);
}

// Where all hold all, nothing is masked.
TEST(BackwardMaskingOfNothing, IsDataParallelism) {
  StrategySpec everything = backward(kWorkers);
  everything.name = "ddp";
  StrategySpec ddp = testing::data_parallel("ddp", Bytes::kib(3));
  Plan masked = executable(everything, kWorkers, tiny_gpt());
  const Plan plain = executable(ddp, kWorkers, tiny_gpt());
  EXPECT_EQ(masked.masking, Masking::forward);
  EXPECT_EQ(train_locally(masked, kSteps).weight_hashes,
            train_locally(plain, kSteps).weight_hashes);
}

// What a worker has of everything besides activations: all weights, and of its part gradients and
// state.
TEST_P(BackwardMasking, KeepsGradientsAndStateOfItsPartOnly) {
  if (way.strategy.sharding != Sharding::none) return;
  const Net net = *whole_net(plan);
  const StateSizes sizes = state_sizes(plan.training);
  for (const RankProgram& program : plan.programs) {
    std::int64_t held = 0;
    for (const Parameter& parameter : net.parameters) {
      const bool holds = !parameter.unit || program.subnetwork.holds[parameter.unit->index()];
      if (holds) held += parameter.shape.elements();
    }
    Bytes state;
    for (const Buffer& buffer : program.buffers) {
      if (is_persistent(buffer.kind)) state += buffer.size;
    }
    EXPECT_LT(held, parameter_count(net));
    EXPECT_EQ(state, Bytes::bytes(parameter_count(net) * sizes.parameter +
                                  held * (sizes.gradient + sizes.optimizer)));
  }
}

}  // namespace
}  // namespace rehearse
