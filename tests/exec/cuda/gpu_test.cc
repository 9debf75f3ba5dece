// Kernels on a GPU against the reference, layer by layer, over networks and in training by several
// ranks. Skipped where there is no GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "exec/cuda/cuda_backend.h"
#include "exec/staged_transport.h"
#include "tests/exec/cpu/closeness.h"
#include "tests/exec/cpu/layer_runner.h"
#include "tests/exec/cpu/net_runner.h"
#include "tests/exec/cuda/pair_runner.h"
#include "tests/exec/run/runs.h"

namespace rehearse::exec {
namespace {

#define REHEARSE_NEEDS_GPU()                                     \
  if (const auto gpus = count_gpus(); !gpus) {                   \
    GTEST_SKIP() << "no GPU: " << gpus.errors().front().message; \
  }

class GpuLayer : public ::testing::TestWithParam<LayerCase> {
 protected:
  void SetUp() override { REHEARSE_NEEDS_GPU(); }

  void expect_like_reference(const LayerOptions& options) {
    const auto reference = make_reference_backend(DataType::fp32);
    const auto gpu = make_cuda_backend(DataType::fp32, 0);
    const LayerData data = draw(GetParam(), 1);
    expect_within(sum_error(longest_sum(GetParam())),
                  run_layer(*reference, GetParam(), data, options),
                  run_layer(*gpu, GetParam(), data, options));
  }
};

TEST_P(GpuLayer, AgreesWithTheReference) {
  expect_like_reference({});
  expect_like_reference({.in_place = true});
}

TEST_P(GpuLayer, AddsToParameterGradients) {
  expect_like_reference({.gradients = draw(GetParam(), 1).parameters});
}

TEST_P(GpuLayer, MayLeaveOutInputGradients) {
  if (!facts_of(GetParam()).parameters.empty())
    expect_like_reference({.wants_input_gradients = false});
}

TEST_P(GpuLayer, MayBeFrozen) {
  expect_like_reference({.frozen = true});
}

// As the other backends in bf16 (bf16_test.cc), whose roundings these are.
TEST_P(GpuLayer, RoundsToBf16) {
  const LayerData data = rounded(draw(GetParam(), 1));
  const bool is_attention = std::holds_alternative<Attention>(GetParam().layer);
  const bool is_linear = std::holds_alternative<Linear>(GetParam().layer);
  const double roundings = is_attention ? 8 : is_linear ? 3 : 1;
  expect_within(sum_error(longest_sum(GetParam())) + roundings * 0x1p-8,
                run_layer(*make_reference_backend(DataType::fp64), GetParam(), data),
                run_layer(*make_cuda_backend(DataType::bf16, 0), GetParam(), data));
}

TEST_P(GpuLayer, GivesTheSameBitsTwice) {
  const auto gpu = make_cuda_backend(DataType::fp32, 0);
  const LayerData data = draw(GetParam(), 1);
  const LayerOutcome first = run_layer(*gpu, GetParam(), data);
  const LayerOutcome second = run_layer(*gpu, GetParam(), data);
  EXPECT_EQ(first.output, second.output);
  EXPECT_EQ(first.auxiliaries, second.auxiliaries);
  EXPECT_EQ(first.input_gradients, second.input_gradients);
  EXPECT_EQ(first.parameter_gradients, second.parameter_gradients);
}

// Each operand is off by 2^-11 of itself, a product by 2^-10; attention has chains of up to four.
TEST_P(GpuLayer, RoundsProductsToTf32) {
  const LayerData data = draw(GetParam(), 1);
  const bool is_attention = std::holds_alternative<Attention>(GetParam().layer);
  expect_within(sum_error(longest_sum(GetParam())) + (is_attention ? 8 : 1) * 0x1p-10,
                run_layer(*make_reference_backend(DataType::fp64), GetParam(), data),
                run_layer(*make_cuda_backend(DataType::tf32, 0), GetParam(), data));
}

// cuDNN's attention among them.
TEST_P(GpuLayer, GivesTheSameBitsTwiceInBf16) {
  const auto gpu = make_cuda_backend(DataType::bf16, 0);
  const LayerData data = rounded(draw(GetParam(), 1));
  const LayerOutcome first = run_layer(*gpu, GetParam(), data);
  const LayerOutcome second = run_layer(*gpu, GetParam(), data);
  EXPECT_EQ(first.output, second.output);
  EXPECT_EQ(first.auxiliaries, second.auxiliaries);
  EXPECT_EQ(first.input_gradients, second.input_gradients);
  EXPECT_EQ(first.parameter_gradients, second.parameter_gradients);
}

INSTANTIATE_TEST_SUITE_P(Cases, GpuLayer, ::testing::ValuesIn(training_cases()),
                         [](const auto& info) { return info.param.name; });

// On GPUs of the generations that attentions_test knows of.
TEST(GpuAttention, IsOneKernelInBf16) {
  REHEARSE_NEEDS_GPU();
  KernelRequest request;
  request.layer = Attention{3, 3, 16, true, true};
  request.inputs = {{{150, 144}}};
  request.output = {{150, 48}};
  request.samples = 2;
  for (const KernelKind kind : {KernelKind::forward, KernelKind::backward}) {
    request.kind = kind;
    EXPECT_EQ(make_cuda_backend(DataType::bf16, 0)->prepare(request)->implementation(), "fused");
    EXPECT_EQ(make_cuda_backend(DataType::fp32, 0)->prepare(request)->implementation(), "products");
  }
}

class GpuPair : public ::testing::TestWithParam<PairCase> {
 protected:
  void SetUp() override { REHEARSE_NEEDS_GPU(); }

  // Alone and in a sum of so many terms an element is off by no more than this of the largest.
  void expect_like_reference(DataType type, double error) {
    const PairOutcome expected =
        run_apart(*make_reference_backend(DataType::fp64), GetParam(), GeluForm::tanh);
    const auto gpu = make_cuda_backend(type, 0, {.fuses = true});
    const auto actual = run_pair(*gpu, GetParam(), GeluForm::tanh);
    // What the library has no kernel for, its rows being no multiples of 8 long, stays apart.
    EXPECT_EQ(actual.has_value(), GetParam().name != "odd");
    if (!actual) return;
    expect_within(error, expected.before, actual->before, "before");
    expect_within(error, expected.after, actual->after, "after");
    expect_within(error, expected.gradient, actual->gradient, "gradient");
  }
};

// The erf form is 4.7e-4 away in places: a library that computed that would be found out.
TEST_P(GpuPair, AgreesWithTheStepsOfTheReference) {
  expect_like_reference(DataType::fp32, sum_error(static_cast<double>(GetParam().in)));
}

TEST_P(GpuPair, RoundsToBf16) {
  expect_like_reference(DataType::bf16, 4 * 0x1p-8);
}

TEST_P(GpuPair, GivesTheSameBitsTwice) {
  const auto gpu = make_cuda_backend(DataType::bf16, 0, {.fuses = true});
  const auto first = run_pair(*gpu, GetParam(), GeluForm::tanh);
  const auto second = run_pair(*gpu, GetParam(), GeluForm::tanh);
  ASSERT_EQ(first.has_value(), second.has_value());
  if (!first) return;
  EXPECT_EQ(first->before, second->before);
  EXPECT_EQ(first->after, second->after);
  EXPECT_EQ(first->gradient, second->gradient);
}

INSTANTIATE_TEST_SUITE_P(Cases, GpuPair, ::testing::ValuesIn(pair_cases()),
                         [](const auto& info) { return info.param.name; });

class GpuNet : public ::testing::TestWithParam<NetCase> {};

TEST_P(GpuNet, HasTheGradientsOfTheReference) {
  REHEARSE_NEEDS_GPU();
  const auto& [name, net, samples] = GetParam();
  const NetData data = draw(net, samples, 3);
  const auto run = [&](Backend& on) {
    return run_net(on, net, data, samples, Cuts::none, Pass::backward);
  };
  const NetOutcome expected = run(*make_reference_backend(DataType::fp64));
  for (const bool fuses : {false, true}) {
    const NetOutcome actual = run(*make_cuda_backend(DataType::fp32, 0, {.fuses = fuses}));
    expect_within(sum_error(1e4), expected.losses, actual.losses, "losses");
    for (std::size_t p = 0; p < expected.gradients.size(); ++p)
      expect_within(sum_error(1e4), expected.gradients[p], actual.gradients[p],
                    net.parameters[p].name);
  }
}

INSTANTIATE_TEST_SUITE_P(Nets, GpuNet, ::testing::ValuesIn(net_cases()),
                         [](const auto& info) { return info.param.name; });

// ---- queues -------------------------------------------------------------------------------------

class GpuQueues : public ::testing::Test {
 protected:
  void SetUp() override {
    REHEARSE_NEEDS_GPU();
    gpu = make_cuda_backend(DataType::fp32, 0);
    device = &gpu->device();
    for (auto& room : rooms)
      room = device->allocate(kBytes);
  }
  bool holds(const DeviceMemory& room, std::byte value) {
    const std::vector<std::byte> bytes = read(*device, {room.data(), kBytes});
    return std::all_of(bytes.begin(), bytes.end(), [&](std::byte it) { return it == value; });
  }

  // Long enough for another queue to be there first, if it does not wait.
  static constexpr std::size_t kBytes = std::size_t{1} << 28;
  std::unique_ptr<Backend> gpu;
  KernelDevice* device = nullptr;
  std::array<std::unique_ptr<DeviceMemory>, 2> rooms;
};

TEST_F(GpuQueues, WaitForOneAnother) {
  for (const int value : {1, 2, 3}) {
    device->select(0);
    for (const int before : {0, 0, 0, value})
      device->fill(rooms[0]->data(), static_cast<std::byte>(before), kBytes);
    const Mark filled = device->mark();
    device->select(1);
    device->wait_for(filled);
    device->copy(rooms[1]->data(), rooms[0]->data(), kBytes);
    device->finish();
    EXPECT_TRUE(device->is_passed(filled));
    EXPECT_TRUE(holds(*rooms[1], static_cast<std::byte>(value)));
  }
}

TEST_F(GpuQueues, ReplayWhatTheyHaveRecorded) {
  device->select(0);
  device->begin_recording();
  device->copy(rooms[1]->data(), rooms[0]->data(), kBytes);
  device->fill(rooms[0]->data(), std::byte{9}, kBytes);
  const Recording recording = device->end_recording();
  for (const int value : {1, 2}) {
    device->fill(rooms[0]->data(), static_cast<std::byte>(value), kBytes);
    EXPECT_TRUE(device->replay(recording));
    device->finish();
    EXPECT_TRUE(holds(*rooms[1], static_cast<std::byte>(value)));
    EXPECT_TRUE(holds(*rooms[0], std::byte{9}));
  }
  device->forget(recording);
}

// ---- training -----------------------------------------------------------------------------------

struct Way {
  std::string name;
  StrategySpec strategy;
  std::vector<ModelSpec> models = {
      rehearse::testing::small_resnet(),
      rehearse::testing::with_dropout(rehearse::testing::narrow_gpt())};
  friend void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }
};

class GpuTraining : public ::testing::TestWithParam<Way> {};

Plan plan_of(const Way& way, const ModelSpec& model) {
  Training training = rehearse::testing::training(16);
  training.dtype = DataType::fp32;
  return rehearse::testing::executable(way.strategy, 4, model, training);
}

// Four ranks share the GPU, each with an arena and queues of its own, and send through the host.
TrainingRun train_on_gpu(const Plan& plan, const TrainOptions& options, const CudaOptions& gpus) {
  const Net net = *whole_net(plan);
  TrainingRun result;
  run_local(4, [&](Transport& carrier) {
    const auto gpu = make_cuda_backend(DataType::fp32, 0, gpus);
    StagedTransport transport(carrier, gpu->device());
    rehearse::testing::Batches<float> batches(net, plan.micro_batch_samples);
    TrainingRun run = train(plan, net, *gpu, transport, batches, &batches, options);
    if (transport.rank() == RankId(0)) result = std::move(run);
  });
  return result;
}

TEST_P(GpuTraining, OfFourRanksIsThatOfTheReference) {
  REHEARSE_NEEDS_GPU();
  const Plan plan = plan_of(GetParam(), GetParam().models.front());
  TrainOptions options = rehearse::testing::options_of(3);
  options.evaluate_every = 3;
  const TrainingRun expected = rehearse::testing::train_locally(plan, options);
  const TrainingRun actual = train_on_gpu(plan, options, {});
  ASSERT_EQ(actual.losses.size(), expected.losses.size());
  for (std::size_t step = 0; step < expected.losses.size(); ++step)
    EXPECT_NEAR(actual.losses[step], expected.losses[step], 1e-3) << "step " << step;
  EXPECT_EQ(differing_copies(actual.ranks), "");
  EXPECT_NEAR(actual.evaluations.back().evaluation.loss,
              expected.evaluations.back().evaluation.loss, 1e-2);
  for (std::size_t r = 0; r < 4; ++r) {
    EXPECT_EQ(actual.ranks[r].traffic.sent, expected.ranks[r].traffic.sent);
    EXPECT_EQ(actual.ranks[r].arena_extent, expected.ranks[r].arena_extent);
  }
}

// Recorded kernels are the same kernels: the same bits, whatever is fused and drawn.
TEST_P(GpuTraining, IsTheSameByGraphs) {
  REHEARSE_NEEDS_GPU();
  for (const ModelSpec& model : GetParam().models) {
    const Plan plan = plan_of(GetParam(), model);
    TrainOptions options = rehearse::testing::options_of(6);
    options.evaluate_every = 3;
    for (const bool fuses : {false, true}) {
      options.executor.records = false;
      const TrainingRun expected = train_on_gpu(plan, options, {.fuses = fuses});
      options.executor.records = true;
      const TrainingRun actual = train_on_gpu(plan, options, {.fuses = fuses});
      EXPECT_EQ(actual.losses, expected.losses);
      EXPECT_EQ(actual.weight_hashes, expected.weight_hashes);
    }
  }
}

StrategySpec zero3() {
  StrategySpec strategy = rehearse::testing::data_parallel("zero3", Bytes::kib(64));
  strategy.sharding = Sharding::parameters;
  strategy.micro_batches = 2;
  return strategy;
}

StrategySpec tensor(bool sequence_parallel) {
  StrategySpec strategy = rehearse::testing::data_parallel("tensor", Bytes::kib(64));
  strategy.tensor = TensorSpec{2, sequence_parallel};
  return strategy;
}

INSTANTIATE_TEST_SUITE_P(
    Ways, GpuTraining,
    ::testing::Values(Way{"data", rehearse::testing::data_parallel("data", Bytes::kib(64))},
                      Way{"zero3", zero3()},
                      Way{"pipeline", rehearse::testing::pipeline("1f1b", 4, 8)},
                      Way{"subnetwork", rehearse::testing::subnetwork({1, 1})},
                      Way{"tensor", tensor(false), {rehearse::testing::narrow_gpt(true)}},
                      Way{"sequence", tensor(true), {rehearse::testing::narrow_gpt(true)}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace rehearse::exec
