// bf16 on every backend that has it, against the reference in double on the same rounded numbers.
//
// A number is rounded by half a unit in its last place, 2^-8 of it at most. Kernels compute in fp32
// and round what they store once; those that go through memory or multiply what they have computed
// round more often, kRoundings at most. Errors are relative to the largest element of a tensor.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "model/base/bfloat16.h"
#include "tests/exec/cpu/closeness.h"
#include "tests/exec/cpu/net_runner.h"

namespace rehearse::exec {
namespace {

constexpr double kRounding = 0x1p-8;

std::vector<std::string_view> backends() {
  std::vector<std::string_view> list;
  for (const std::string_view name : backend_names()) {
    const auto& types = backend_types(name);
    if (std::find(types.begin(), types.end(), DataType::bf16) != types.end()) list.push_back(name);
  }
  return list;
}

// A bias is added to what was rounded. Attention multiplies rounded probabilities and gradients of
// scores, whose error in the sums is that of their largest term, and the reference projects on the
// rounded output: up to four times the largest element of the result here.
double roundings(const LayerCase& layer) {
  if (std::holds_alternative<Attention>(layer.layer)) return 8;
  return std::holds_alternative<Linear>(layer.layer) ? 3 : 1;
}

using Case = std::tuple<std::string_view, LayerCase>;
class Bf16Layer : public testing::TestWithParam<Case> {
 protected:
  const LayerCase& layer() const { return std::get<1>(GetParam()); }
  std::unique_ptr<Backend> make(const BackendOptions& options = {}) const {
    return make_backend(std::get<0>(GetParam()), DataType::bf16, options);
  }
  void expect_like_double(const LayerOptions& options) {
    const double error = roundings(layer()) * kRounding + sum_error(longest_sum(layer()));
    expect_within(error, run_layer(*exact, layer(), data, options),
                  run_layer(*make(), layer(), data, options));
  }

  std::unique_ptr<Backend> exact = make_reference_backend(DataType::fp64);
  LayerData data = rounded(draw(layer(), 1));
};

TEST_P(Bf16Layer, IsDoublesRounded) {
  expect_like_double({});
  expect_like_double({.in_place = true});
}

TEST_P(Bf16Layer, AddsToParameterGradientsBeforeItRounds) {
  expect_like_double({.gradients = data.parameters});
}

TEST_P(Bf16Layer, MayLeaveOutInputGradients) {
  if (!facts_of(layer()).parameters.empty()) expect_like_double({.wants_input_gradients = false});
}

TEST_P(Bf16Layer, GivesTheSameBitsOnAnyNumberOfThreadsWhereItIsExact) {
  const auto run = [&](int threads) {
    return run_layer(*make({threads, Reduction::exact}), layer(), data);
  };
  const LayerOutcome one = run(1), three = run(3);
  EXPECT_EQ(one.output, three.output);
  EXPECT_EQ(one.auxiliaries, three.auxiliaries);
  EXPECT_EQ(one.input_gradients, three.input_gradients);
  EXPECT_EQ(one.parameter_gradients, three.parameter_gradients);
}

INSTANTIATE_TEST_SUITE_P(Cases, Bf16Layer,
                         testing::Combine(testing::ValuesIn(backends()),
                                          testing::ValuesIn(training_cases())),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param)) + "_" +
                                  std::get<1>(info.param).name;
                         });

class Bf16Backend : public testing::TestWithParam<std::string_view> {
 protected:
  std::unique_ptr<Backend> backend = make_backend(GetParam(), DataType::bf16);
};

TEST_P(Bf16Backend, HasStatisticsInFp32) {
  EXPECT_EQ(backend->type(), DataType::bf16);
  EXPECT_EQ(backend->sizes().activation_bytes, 2);
  EXPECT_EQ(backend->sizes().statistic_bytes, 4);
}

// 1 + 3 2^-8 lies between 1 + 2^-7 and 1 + 2^-6: to even. A third of 2 is 0.66796875 in bf16.
TEST_P(Bf16Backend, RoundsSumsAndQuotients) {
  const Tensor sum(*backend, {1, 2}), term(*backend, {0x3p-8, 0});
  backend->add(sum.data(), term.data(), 2);
  EXPECT_EQ(sum.load(*backend), (std::vector<double>{1 + 0x1p-6, 2}));
  backend->divide(sum.data(), 2, 3);
  EXPECT_EQ(sum.load(*backend)[1], 0.66796875);
}

// Steps of 2^-10 are lost beside one in bf16, whose next neighbour below is 2^-8 away: the master
// keeps them, and after eight of them the weight is 1 - 2^-7.
TEST_P(Bf16Backend, KeepsSmallStepsInTheMaster) {
  const Optimizer sgd{.rule = Sgd{}, .lr = 0x1p-10, .weight_decay = 0, .schedule = {}};
  const Tensor weight(*backend, {1}), gradient(*backend, {1});
  const Tensor master = Tensor::of_statistics(*backend, {1});
  for (std::int64_t step = 0; step < 8; ++step) {
    backend->step({sgd, sgd.lr, step, false}, weight.data(), gradient.data(),
                  {{nullptr, nullptr}, master.data()}, 1);
    const double exact = 1 - static_cast<double>(step + 1) * 0x1p-10;
    EXPECT_EQ(master.load(*backend)[0], exact);
    EXPECT_EQ(weight.load(*backend)[0], double{BFloat16(exact)});
  }
}

// The first step of Adam is lr sign(g): with moments in fp32, whose values bf16 does not have.
TEST_P(Bf16Backend, KeepsMomentsInFp32) {
  const Adam rule{.beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .decoupled = false};
  const Optimizer adam{.rule = rule, .lr = 0.25, .weight_decay = 0, .schedule = {}};
  const Tensor weight(*backend, {2}), gradient(*backend, {-1});
  const Tensor master = Tensor::of_statistics(*backend, {2});
  const Tensor first = Tensor::of_statistics(*backend, {0});
  const Tensor second = Tensor::of_statistics(*backend, {0});
  backend->step({adam, adam.lr, 0, false}, weight.data(), gradient.data(),
                {{first.data(), second.data()}, master.data()}, 1);
  EXPECT_NEAR(first.load(*backend)[0], -0.1, 1e-8);
  EXPECT_NEAR(second.load(*backend)[0], 0.01, 1e-9);
  EXPECT_NEAR(master.load(*backend)[0], 2.25, 1e-6);
  EXPECT_EQ(weight.load(*backend)[0], 2.25);
}

// The difference 2^-12 is a number of bf16, beside one it is none: of the master copy and the
// anchor it is taken, and both have what follows from it, 1 - 2^-13, which the weight is rounded
// from.
TEST_P(Bf16Backend, TakesDifferencesOfTheMaster) {
  const Tensor weight(*backend, {1}), gradient(*backend, {0});
  const Tensor master = Tensor::of_statistics(*backend, {1 - 0x1p-12});
  const Tensor anchor = Tensor::of_statistics(*backend, {1});
  const OuterPiece piece{weight.data(), master.data(), anchor.data(), nullptr};
  backend->outer_gradient(piece, gradient.data(), 1);
  EXPECT_EQ(gradient.load(*backend)[0], 0x1p-12);
  backend->outer_step(OuterOptimizer{0.5, 0}, piece, gradient.data(), 1);
  EXPECT_EQ(anchor.load(*backend)[0], 1 - 0x1p-13);
  EXPECT_EQ(master.load(*backend)[0], 1 - 0x1p-13);
  EXPECT_EQ(weight.load(*backend)[0], 1);
}

INSTANTIATE_TEST_SUITE_P(Names, Bf16Backend, testing::ValuesIn(backends()),
                         [](const auto& info) { return std::string(info.param); });

double norm(const std::vector<double>& values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

// All gradients as one vector; empty lists are those of dropped layers.
std::vector<double> joined(const std::vector<std::vector<double>>& lists) {
  std::vector<double> all;
  for (const auto& list : lists)
    all.insert(all.end(), list.begin(), list.end());
  return all;
}

bool normalises_batches(const Net& net) {
  return std::any_of(net.layers.begin(), net.layers.end(), [](const Layer& layer) {
    return std::holds_alternative<BatchNorm>(layer.spec);
  });
}

using NetParameter = std::tuple<std::string_view, NetCase>;
class Bf16Net : public testing::TestWithParam<NetParameter> {};

// Every layer rounds its output and its gradient: errors of random sign, two for each layer, in all
// gradients together. That is what they come to on average; one draw of them may be somewhat more,
// and twice that is allowed. Batch norm magnifies them: its last ones here divide by the deviation
// of two values, which may be near zero; 16 times that is allowed.
TEST_P(Bf16Net, HasTheGradientsOfDouble) {
  const auto& [backend, it] = GetParam();
  NetData data = draw(it.net, it.samples, 3);
  if (it.net.values[it.net.input.index()].type == ValueType::real) round_to_bf16(data.input);
  std::for_each(data.parameters.begin(), data.parameters.end(), round_to_bf16);
  const auto run = [&](const std::unique_ptr<Backend>& on) {
    return run_net(*on, it.net, data, it.samples, Cuts::none, Pass::backward);
  };
  const NetOutcome expected = run(make_reference_backend(DataType::fp64));
  const NetOutcome actual = run(make_backend(backend, DataType::bf16));
  const double error = kRounding * std::sqrt(2.0 * static_cast<double>(it.net.layers.size()));
  const std::vector<double> gradients = joined(expected.gradients);
  std::vector<double> apart = joined(actual.gradients);
  ASSERT_EQ(gradients.size(), apart.size());
  for (std::size_t i = 0; i < apart.size(); ++i)
    apart[i] -= gradients[i];
  for (std::size_t l = 0; l < expected.losses.size(); ++l)
    EXPECT_NEAR(expected.losses[l], actual.losses[l], 4 * error * (1 + expected.losses[l]));
  const double magnified = normalises_batches(it.net) ? 16 : 2;
  EXPECT_LT(norm(apart), magnified * error * norm(gradients));
}

INSTANTIATE_TEST_SUITE_P(
    Nets, Bf16Net, testing::Combine(testing::ValuesIn(backends()), testing::ValuesIn(net_cases())),
    [](const auto& info) {
      return std::string(std::get<0>(info.param)) + "_" + std::get<1>(info.param).name;
    });

}  // namespace
}  // namespace rehearse::exec
