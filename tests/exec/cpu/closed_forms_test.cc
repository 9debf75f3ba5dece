// Outputs that can be written down.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/exec/cpu/layer_runner.h"

namespace rehearse::exec {
namespace {

using testing::DoubleEq;
using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;
using testing::Pointwise;

LayerOutcome run(const LayerCase& layer, const LayerData& data) {
  return run_layer(*make_reference_backend(DataType::fp64), layer, data);
}

// Equal logits are a uniform distribution over the classes.
TEST(CrossEntropyForward, OfEqualLogitsIsLogClasses) {
  const LayerCase layer{"", CrossEntropy{8}, {{{8}}, {{1}}}, 2};
  const LayerData data{{std::vector<double>(16, 3.0), {0, 7}}, {}, {1, 1}};
  EXPECT_THAT(run(layer, data).output, Each(DoubleNear(std::log(8.0), 1e-15)));
}

// As PyTorch's: what is not a number is not taken for a small one.
TEST(ReluForward, KeepsWhatIsNotANumber) {
  const LayerCase layer{"", Relu{}, {{{4}}}, 1};
  const LayerData data{{{-1, std::nan(""), 0, 2}}, {}, {1, 1, 1, 1}};
  for (const std::string_view name : backend_names()) {
    const auto output = run_layer(*make_backend(name), layer, data).output;
    EXPECT_EQ(output[0], 0) << name;
    EXPECT_TRUE(std::isnan(output[1])) << name;
    EXPECT_EQ(output[2], 0) << name;
    EXPECT_EQ(output[3], 2) << name;
  }
}

// Without an output gradient the loss is scaled by loss_scale: both calls ask for 1/4 of each.
TEST(CrossEntropyBackward, TakesTheLossScaleWithoutOutputGradient) {
  const auto backend = make_reference_backend(DataType::fp64);
  const Tensor logits(*backend, {0.5, -1.0, 2.0}), labels = Tensor::of_indices(*backend, {1});
  const Tensor log_sum_exp(*backend, {std::log(std::exp(0.5) + std::exp(-1.0) + std::exp(2.0))});
  const Tensor given(*backend, {0.25});
  const auto kernel = backend->prepare({.kind = KernelKind::backward,
                                        .layer = CrossEntropy{3},
                                        .inputs = {{{3}}, {{1}}},
                                        .output = {{1}},
                                        .samples = 1,
                                        .elements = 0,
                                        .wants_input_gradient = {true, false}});
  const auto gradient = [&](const void* output_gradient) {
    const Tensor result = Tensor::poisoned(*backend, 3);
    KernelArguments a;
    a.inputs = {logits.data(), labels.data()};
    a.auxiliaries = {log_sum_exp.data()};
    a.output_gradient = output_gradient;
    a.input_gradients = {result.data(), nullptr};
    a.loss_scale = 0.25;
    kernel->run(a);
    return result.load(*backend);
  };
  EXPECT_EQ(gradient(nullptr), gradient(given.data()));
}

// Half the squared distance from (0, 1, 0): at it 0, from (1, -1, 2) (1 + 4 + 4) / 2; the gradient
// is the difference, here times 1 and 3.
TEST(SquaredError, IsHalfTheSquaredDistance) {
  const LayerCase layer{"", SquaredError{3}, {{{3}}, {{1}}}, 2};
  const LayerOutcome outcome = run(layer, {{{0, 1, 0, 1, -1, 2}, {1, 1}}, {}, {1, 3}});
  EXPECT_THAT(outcome.output, ElementsAre(0, 4.5));
  EXPECT_THAT(outcome.input_gradients.at(0), ElementsAre(0, 0, 0, 3, -6, 6));
}

// A normalised channel with scale s and shift t has mean t and variance s^2 v / (v + eps): inputs
// +-1 have v = 1.
TEST(BatchNormForward, HasTheMomentsOfScaleAndShift) {
  const LayerCase layer{"", BatchNorm{1}, {{{2, 1, 1}}}, 2};
  const LayerOutcome outcome = run(layer, {{{1, -1, -1, 1}}, {{3}, {5}}, {0, 0, 0, 0}});
  const double deviation = 3 / std::sqrt(1 + 1e-5);
  EXPECT_THAT(outcome.output, Pointwise(DoubleNear(1e-14), {5 + deviation, 5 - deviation,
                                                            5 - deviation, 5 + deviation}));
  EXPECT_THAT(outcome.auxiliaries, ElementsAre(ElementsAre(0.0), ElementsAre(1.0)));
}

// A kernel that is one in the middle copies; a 3x3 kernel of ones counts neighbours: 4 in a
// corner, 6 on an edge, 9 inside.
TEST(Conv2dForward, OfOnesCountsNeighbours) {
  const LayerCase layer{"", Conv2d{1, 1, 3, 1, 1}, {{{3, 3, 1}}}, 1};
  const std::vector<double> ones(9, 1.0);
  EXPECT_THAT(run(layer, {{ones}, {ones}, ones}).output, ElementsAre(4, 6, 4, 6, 9, 6, 4, 6, 4));
}

// Equal keys are attended to equally, so the first output is the first value and the second the
// mean of two; scores do not matter.
TEST(AttentionForward, OfEqualKeysIsTheMeanOfWhatIsSeen) {
  for (const bool fused : {false, true}) {
    const LayerCase layer{"", Attention{1, 1, 1, true, fused}, {{{2, 3}}}, 1};
    const LayerData data{{{0.7, 2, 10, -0.4, 2, 20}}, {}, {0, 0}};
    EXPECT_THAT(run(layer, data).output, Pointwise(DoubleNear(1e-13), {10.0, 15.0}));
  }
}

// Position 0 is not turned, position 1 by one radian (pair 0 turns by the position), values never.
TEST(RotaryForward, TurnsByThePosition) {
  const LayerCase layer{"", Rotary{1, 1, 2, 2}, {{{2, 6}}}, 1};
  const LayerData data{{{1, 0, 0, 1, 5, 6, 1, 0, 0, 1, 5, 6}}, {}, std::vector<double>(12, 0.0)};
  const double c = std::cos(1.0), s = std::sin(1.0);
  EXPECT_THAT(run(layer, data).output,
              Pointwise(DoubleEq(), {1.0, 0.0, 0.0, 1.0, 5.0, 6.0, c, s, -s, c, 5.0, 6.0}));
}

// Two channels of four: the others stay, whatever the position; one pair has no use for the base.
TEST(RotaryForward, LeavesWhatIsNotRotated) {
  const LayerCase layer{"", Rotary{1, 1, 4, 2, 7}, {{{2, 12}}}, 1};
  std::vector<double> x(24);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<double>(i);
  std::vector<double> expected = x;
  for (const std::size_t at : {12, 16}) {
    expected[at] = x[at] * std::cos(1.0) - x[at + 1] * std::sin(1.0);
    expected[at + 1] = x[at + 1] * std::cos(1.0) + x[at] * std::sin(1.0);
  }
  EXPECT_THAT(run(layer, {{x}, {}, std::vector<double>(24, 0.0)}).output,
              Pointwise(DoubleEq(), expected));
}

// Of three pairs the third turns by base^(-2/3) per position.
TEST(RotaryForward, TurnsByThePowersOfTheBase) {
  const LayerCase layer{"", Rotary{1, 1, 6, 6, 27}, {{{2, 18}}}, 1};
  std::vector<double> x(36, 0.0);
  x[18 + 2] = 1;
  const auto y = run(layer, {{x}, {}, std::vector<double>(36, 0.0)}).output;
  EXPECT_DOUBLE_EQ(y[18 + 2], std::cos(std::pow(27.0, -4.0 / 6)));
  EXPECT_DOUBLE_EQ(y[18 + 5], std::sin(std::pow(27.0, -4.0 / 6)));
}

// gelu(x) - gelu(-x) = x and silu(0) = 0: exact properties of the forms, whatever their constants;
// tanh(sqrt(2/pi) (1 + 0.044715)) fixes those.
TEST(GeluForward, HasItsOddPart) {
  const LayerCase layer{"", Gelu{}, {{{2}}}, 1};
  const auto output = run(layer, {{{1, -1}}, {}, {1, 1}}).output;
  EXPECT_DOUBLE_EQ(output[0] - output[1], 1.0);
  EXPECT_DOUBLE_EQ(output[0], 0.5 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * 1.044715)));
}

// 0.8413447460685429 of a normal distribution lies below one deviation; and 1 / (1 + e^-1.702).
TEST(GeluForward, HasItsOtherForms) {
  for (const auto& [form, share] : {std::pair(GeluForm::erf, 0.8413447460685429),
                                    std::pair(GeluForm::sigmoid, 1 / (1 + std::exp(-1.702)))}) {
    const LayerCase layer{"", Gelu{form}, {{{2}}}, 1};
    const auto output = run(layer, {{{1, -1}}, {}, {1, 1}}).output;
    EXPECT_DOUBLE_EQ(output[0], share);
    EXPECT_NEAR(output[1], share - 1, 1e-15);
  }
}

}  // namespace
}  // namespace rehearse::exec
