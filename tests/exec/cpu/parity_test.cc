// oneDNN against the reference in the same precision, layer by layer and over whole networks.
//
// Both round differently, so results differ by the rounding of their longest sums. The error of a
// sum of n terms grows like sqrt(n) roundings of its size (errors of random sign; Higham, Accuracy
// and Stability of Numerical Algorithms, section 2.8): sum_error() of the largest element is
// allowed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <thread>

#include "exec/cpu/onednn/vectors.h"
#include "tests/exec/cpu/closeness.h"
#include "tests/exec/cpu/layer_runner.h"
#include "tests/exec/cpu/net_runner.h"

namespace rehearse::exec {
namespace {

void expect_close(const std::vector<double>& expected, const std::vector<double>& actual,
                  double terms, const std::string& what) {
  expect_within(sum_error(terms), expected, actual, what);
}

void expect_close(const LayerOutcome& expected, const LayerOutcome& actual, double terms) {
  expect_within(sum_error(terms), expected, actual);
}

class OnednnLayer : public testing::TestWithParam<LayerCase> {
 protected:
  std::unique_ptr<Backend> reference = make_reference_backend(DataType::fp32);
  std::unique_ptr<Backend> onednn = make_onednn_backend();
  LayerData data = draw(GetParam(), 1);
};

TEST_P(OnednnLayer, AgreesWithTheReference) {
  for (const bool in_place : {false, true}) {
    const LayerOptions options{.in_place = in_place};
    expect_close(run_layer(*reference, GetParam(), data, options),
                 run_layer(*onednn, GetParam(), data, options), longest_sum(GetParam()));
  }
}

TEST_P(OnednnLayer, AddsToParameterGradientsAsTheReference) {
  const LayerOptions options{.gradients = data.parameters};
  expect_close(run_layer(*reference, GetParam(), data, options),
               run_layer(*onednn, GetParam(), data, options), longest_sum(GetParam()));
}

TEST_P(OnednnLayer, MayLeaveOutInputGradients) {
  if (facts_of(GetParam()).parameters.empty()) return;
  const LayerOptions options{.wants_input_gradients = false};
  expect_close(run_layer(*reference, GetParam(), data, options),
               run_layer(*onednn, GetParam(), data, options), longest_sum(GetParam()));
}

TEST_P(OnednnLayer, MayBeFrozen) {
  const LayerOptions options{.frozen = true};
  expect_close(run_layer(*reference, GetParam(), data, options),
               run_layer(*onednn, GetParam(), data, options), longest_sum(GetParam()));
}

TEST_P(OnednnLayer, GivesTheSameBitsTwice) {
  const LayerOutcome first = run_layer(*onednn, GetParam(), data);
  const LayerOutcome second = run_layer(*onednn, GetParam(), data);
  EXPECT_EQ(first.output, second.output);
  EXPECT_EQ(first.auxiliaries, second.auxiliaries);
  EXPECT_EQ(first.input_gradients, second.input_gradients);
  EXPECT_EQ(first.parameter_gradients, second.parameter_gradients);
}

// Sums over rows may be cut elsewhere, all else is shared out by independent parts.
TEST_P(OnednnLayer, AgreesWithTheReferenceOnThreeThreads) {
  const std::unique_ptr<Backend> several = make_onednn_backend({.threads = 3});
  for (const bool in_place : {false, true}) {
    const LayerOptions options{.in_place = in_place};
    expect_close(run_layer(*reference, GetParam(), data, options),
                 run_layer(*several, GetParam(), data, options), longest_sum(GetParam()));
  }
  const LayerOutcome first = run_layer(*several, GetParam(), data);
  const LayerOutcome second = run_layer(*several, GetParam(), data);
  EXPECT_EQ(first.output, second.output);
  EXPECT_EQ(first.input_gradients, second.input_gradients);
  EXPECT_EQ(first.parameter_gradients, second.parameter_gradients);
}

INSTANTIATE_TEST_SUITE_P(Cases, OnednnLayer, testing::ValuesIn(training_cases()),
                         [](const auto& info) { return info.param.name; });

class OnednnNet : public testing::TestWithParam<NetCase> {};

// Errors of one layer pass through all others: the sums of a network are as long as all layers'
// together, here below 1e4 terms, and gradients are compared with the largest of their tensor.
TEST_P(OnednnNet, HasTheGradientsOfTheReference) {
  const auto& [name, net, samples] = GetParam();
  const auto reference = make_reference_backend(DataType::fp64), onednn = make_onednn_backend();
  const NetData data = draw(net, samples, 3);
  const NetOutcome expected = run_net(*reference, net, data, samples, Cuts::none, Pass::backward);
  const NetOutcome actual = run_net(*onednn, net, data, samples, Cuts::none, Pass::backward);
  expect_close(expected.losses, actual.losses, 1e4, "losses");
  for (std::size_t p = 0; p < expected.gradients.size(); ++p) {
    expect_close(expected.gradients[p], actual.gradients[p], 1e4, net.parameters[p].name);
  }
}

INSTANTIATE_TEST_SUITE_P(Nets, OnednnNet, testing::ValuesIn(net_cases()),
                         [](const auto& info) { return info.param.name; });

// A rank is one thread: neither preparing nor running a kernel starts a team, in whatever thread.
TEST(OnednnThreads, AreTheCallersOnly) {
  const auto threads = [] {
    const std::filesystem::directory_iterator tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
  };
  std::thread([&] {
    const auto before = threads();
    const LayerCase layer{"", Conv2d{16, 16, 3, 1, 1}, {{{28, 28, 16}}}, 8};
    run_layer(*make_onednn_backend(), layer, draw(layer, 1));
    EXPECT_EQ(threads(), before);
  }).join();
}

TEST(OnednnWorkspace, IsTakenWhenKernelsArePrepared) {
  const auto backend = make_onednn_backend();
  EXPECT_EQ(backend->workspace().bytes(), 0);
  const KernelRequest request{.kind = KernelKind::backward,
                              .layer = LayerNorm{64},
                              .inputs = {{{64}}},
                              .output = {{64}},
                              .samples = 8,
                              .elements = 0,
                              .wants_input_gradient = {true}};
  const auto kernel = backend->prepare(request);
  // At least the two parameters' gradients, in double, before they are added.
  EXPECT_GE(backend->workspace().bytes(), 2 * 64 * 8);
}

TEST(Exponential, IsRightToTwoRoundings) {
  double worst = 0;
  for (float x = -87.0F; x < 88.0F; x += 0.00137F) {
    const double right = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::abs(static_cast<double>(onednn::exponential(x)) / right - 1));
  }
  EXPECT_LT(worst, 2e-7);
  EXPECT_EQ(onednn::exponential(0), 1.0F);
  EXPECT_LT(onednn::exponential(-1e30F), 1.3e-38F);
  EXPECT_LT(onednn::exponential(-std::numeric_limits<float>::infinity()), 1.3e-38F);
}

}  // namespace
}  // namespace rehearse::exec
