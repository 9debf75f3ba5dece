#include "exec/measure/net_walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/net/model_spec.h"

namespace rehearse::exec {
namespace {

// The walk is the network's training step: its FLOPs are those of forward and backward, and every
// layer with parameters gets a gradient that is there and finite.
TEST(NetWalk, RunsOneTrainingStep) {
  const auto backend = make_reference_backend(DataType::fp32);
  for (const MeasuredNet& measured : default_networks()) {
    if (measured.samples > 4) continue;  // plain loops are slow
    const NetWalk walk(measured, *backend);
    Flops flops;
    for (const NetWalk::Step& step : walk.steps()) {
      step.run();
      if (step.work.kernel != KernelClass::copy) flops += step.work.flops;
      for (const void* gradient : step.arguments.parameter_gradients) {
        const double value = backend->load(gradient, 1)[0];
        EXPECT_TRUE(std::isfinite(value)) << step.what;
      }
    }
    // Sums of gradients that meet are the walk's own, and additions hand theirs on without
    // arithmetic.
    const double expected = flops_of(measured.net, measured.samples).total().flops();
    EXPECT_NEAR(flops.flops() / expected, 1, 0.01) << measured.net.name;
  }
}

// The head's weights are the tokens' too: backward meets the head first, which overwrites, then
// adds.
TEST(NetWalk, AddsToGradientsThatAreThere) {
  const Net net = build_net({"gpt",
                             {{"layers", {1}},
                              {"width", {8}},
                              {"heads", {2}},
                              {"vocabulary", {16}},
                              {"sequence", {4}},
                              {"positions", {4}},
                              {"tied", {1}}}})
                      .value();
  const auto backend = make_reference_backend(DataType::fp32);
  const MeasuredNet measured{net, 1};
  const NetWalk walk(measured, *backend);
  std::vector<std::string> adding;
  for (const NetWalk::Step& step : walk.steps()) {
    if (step.arguments.adds_to_parameter_gradients) adding.push_back(step.kind);
  }
  EXPECT_EQ(adding, std::vector<std::string>{"embedding backward_weight"});
}

// Adam's first step moves every weight with a gradient by the rate, bf16's in the master copy,
// which the weight is rounded from; the walk has the state for both.
TEST(NetWalk, UpdatesByTheTrainingsRule) {
  Training training;
  training.optimizer.rule = Adam{};
  training.optimizer.lr = 0.25;
  const MeasuredNet measured = default_networks().front();
  for (const DataType type : {DataType::fp32, DataType::bf16}) {
    const auto backend = make_reference_backend(type);
    const NetWalk walk(measured, *backend, training);
    const auto last =
        std::find_if(walk.steps().rbegin(), walk.steps().rend(),
                     [](const auto& step) { return !step.arguments.parameter_gradients.empty(); });
    void* gradient = last->arguments.parameter_gradients[0];
    backend->store(gradient, {2.0});
    const double before = backend->load(last->arguments.parameters[0], 1)[0];
    walk.update();
    const double after = backend->load(last->arguments.parameters[0], 1)[0];
    EXPECT_NEAR(before - after, 0.25, 0x1p-8) << to_string(type);
  }
}

TEST(NetWalk, NamesEqualKernelsEqually) {
  const KernelRequest conv{KernelKind::backward_input,
                           Conv2d{16, 32, 3, 2, 1},
                           {{{28, 28, 16}}},
                           {{14, 14, 32}},
                           8,
                           0,
                           {true}};
  EXPECT_EQ(kernel_text(conv), "conv2d k3 s2 28x28x16 -> 14x14x32 n8 backward_input");
  KernelRequest product{KernelKind::forward, Linear{64, 256, true}, {{{64}}}, {{256}}, 2, 0, {}};
  EXPECT_EQ(kernel_text(product), "linear bias 64 -> 256 n2 forward");
  std::get<Linear>(product.layer).bias = false;
  EXPECT_EQ(kernel_text(product), "linear 64 -> 256 n2 forward");
  KernelRequest sum{};
  sum.kind = KernelKind::accumulate;
  sum.elements = 100;
  EXPECT_EQ(kernel_text(sum), "accumulate 100");
}

TEST(RotatingMemory, ComesBackOnlyAfterAWholeTurn) {
  RotatingMemory memory(host_device(), Bytes::kib(4));
  const std::byte* first = memory.take(Bytes::kib(1));
  for (int i = 0; i < 3; ++i)
    EXPECT_NE(memory.take(Bytes::kib(1)), first);
  EXPECT_EQ(memory.take(Bytes::kib(1)), first);
}

}  // namespace
}  // namespace rehearse::exec
