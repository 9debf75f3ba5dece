// oneDNN against the reference in the same precision, layer by layer and over whole networks.
//
// Both round differently, so results differ by the rounding of their longest sums. The error of a
// sum of n terms grows like sqrt(n) roundings of its size (errors of random sign; Higham, Accuracy
// and Stability of Numerical Algorithms, section 2.8); with the size of the largest element
// standing for that of partial sums, 8 eps sqrt(n) max|x| is allowed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <thread>

#include "exec/cpu/onednn/vectors.h"
#include "tests/exec/cpu/layer_runner.h"
#include "tests/exec/cpu/net_runner.h"

namespace rehearse::exec {
namespace {

double largest(const std::vector<double>& values) {
  double result = 0;
  for (const double value : values)
    result = std::max(result, std::abs(value));
  return result;
}

void expect_close(const std::vector<double>& expected, const std::vector<double>& actual,
                  double terms, const std::string& what) {
  ASSERT_EQ(expected.size(), actual.size()) << what;
  constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
  const double tolerance = 8 * kEpsilon * std::sqrt(terms) * largest(expected);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(expected[i], actual[i], tolerance) << what << " element " << i;
  }
}

void expect_close(const LayerOutcome& expected, const LayerOutcome& actual, double terms) {
  expect_close(expected.output, actual.output, terms, "output");
  const auto each = [&](const auto& a, const auto& b, const std::string& what) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i)
      expect_close(a[i], b[i], terms, what);
  };
  each(expected.auxiliaries, actual.auxiliaries, "auxiliary");
  each(expected.input_gradients, actual.input_gradients, "input gradient");
  each(expected.parameter_gradients, actual.parameter_gradients, "parameter gradient");
}

// No kernel sums more terms than its largest operand has elements; elementwise ones sum none.
double longest_sum(const LayerCase& layer) {
  const LayerFacts facts = facts_of(layer);
  if (facts.kernel == KernelClass::elementwise) return 1;
  std::int64_t terms = layer.samples * facts.output.elements();
  for (const Shape& input : layer.inputs)
    terms = std::max(terms, layer.samples * input.elements());
  for (const auto& p : facts.parameters)
    terms = std::max(terms, p.shape.elements());
  return static_cast<double>(terms);
}

// The shapes that training runs, beside the small odd ones.
std::vector<LayerCase> cases() {
  std::vector<LayerCase> list = layer_cases();
  const std::vector<LayerCase> real{
      {"resnet20_stem", Conv2d{1, 16, 3, 1, 1}, {{{28, 28, 1}}}, 2},
      {"resnet20_stage1", Conv2d{16, 16, 3, 1, 1}, {{{28, 28, 16}}}, 2},
      {"resnet20_stage2_first", Conv2d{16, 32, 3, 2, 1}, {{{28, 28, 16}}}, 2},
      {"resnet20_stage2_shortcut", Conv2d{16, 32, 1, 2, 0}, {{{28, 28, 16}}}, 2},
      {"resnet20_stage3", Conv2d{64, 64, 3, 1, 1}, {{{7, 7, 64}}}, 2},
      {"resnet20_norm", BatchNorm{32}, {{{14, 14, 32}}}, 4},
      {"resnet20_head", Linear{64, 10, true}, {{{64}}}, 16},
      {"mlp_hidden", Linear{784, 256, true}, {{{784}}}, 8},
      {"gpt_up", Linear{64, 256, true}, {{{16, 64}}}, 2},
      {"gpt_head", Linear{64, 257, false}, {{{16, 64}}}, 2},
      {"gpt_positions", PositionEmbedding{90, 64}, {{{70, 64}}}, 3},
      {"gpt_norm", LayerNorm{200}, {{{37, 200}}}, 3},
      {"llama_norm", RmsNorm{200}, {{{37, 200}}}, 3},
      {"gpt_loss", CrossEntropy{1500}, {{{9, 1500}}, {{9}}}, 2},
      // Several blocks of queries, the last not full.
      {"gpt_attention", Attention{3, 3, 16, true, true}, {{{150, 144}}}, 2},
      {"gpt_attention_unfused", Attention{3, 3, 16, true, false}, {{{150, 144}}}, 2},
      {"vit_attention", Attention{2, 2, 16, false, true}, {{{100, 96}}}, 2},
      {"llama_attention", Attention{4, 2, 8, true, true}, {{{130, 64}}}, 2},
      // More elements than one thread takes.
      {"llama_gate", SwiGlu{}, {{{50, 120}}, {{50, 120}}}, 3},
      {"gpt_dropout", Dropout{0.1}, {{{50, 119}}}, 3},
      {"resnet_relu", Relu{}, {{{28, 28, 16}}}, 2},
      {"resnet_add", Add{0.5}, {{{28, 28, 16}}, {{28, 28, 16}}}, 2},
  };
  list.insert(list.end(), real.begin(), real.end());
  return list;
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

INSTANTIATE_TEST_SUITE_P(Cases, OnednnLayer, testing::ValuesIn(cases()),
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
