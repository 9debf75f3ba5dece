// Every kind of layer on the reference backend, in double: gradients are what finite differences
// say, and the ways of calling a kernel agree.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/exec/cpu/layer_runner.h"

namespace rehearse::exec {
namespace {

std::string name_of(const testing::TestParamInfo<LayerCase>& info) {
  return info.param.name;
}

class ReferenceLayer : public testing::TestWithParam<LayerCase> {
 protected:
  LayerOutcome run(const LayerData& data, const LayerOptions& options = {}) {
    return run_layer(*backend, GetParam(), data, options);
  }
  // The weighted sum of outputs whose gradients the backward kernels give.
  double objective(const LayerData& data) {
    const auto output = run(data).output;
    double sum = 0;
    for (std::size_t i = 0; i < output.size(); ++i)
      sum += output[i] * data.output_gradient[i];
    return sum;
  }
  // Central differences of the objective in one list of the data. Their error is h^2 / 6 times a
  // third derivative (1e-10 here) and 2^-53 |objective| / h (1e-10): 1e-7 leaves room for both.
  void expect_slopes(std::vector<double>& values, const std::vector<double>& gradient,
                     LayerData& data, const std::string& what) {
    constexpr double kStep = 1e-5, kTolerance = 1e-7;
    ASSERT_EQ(values.size(), gradient.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double centre = values[i];
      values[i] = centre + kStep;
      const double above = objective(data);
      values[i] = centre - kStep;
      const double below = objective(data);
      values[i] = centre;
      EXPECT_NEAR(gradient[i], (above - below) / (2 * kStep),
                  kTolerance * (1 + std::abs(gradient[i])))
          << what << " element " << i;
    }
  }

  std::unique_ptr<Backend> backend = make_reference_backend(DataType::fp64);
  LayerData data = draw(GetParam(), 1);
};

TEST_P(ReferenceLayer, GradientsAreSlopes) {
  const LayerOutcome outcome = run(data);
  for (std::size_t i = 0; i < data.inputs.size(); ++i) {
    if (is_index(GetParam().layer, i)) continue;
    expect_slopes(data.inputs[i], outcome.input_gradients[i], data, "input");
  }
  for (std::size_t p = 0; p < data.parameters.size(); ++p) {
    expect_slopes(data.parameters[p], outcome.parameter_gradients[p], data, "parameter");
  }
}

// The operations are the same, so the bits are.
TEST_P(ReferenceLayer, InPlaceGivesTheSame) {
  const LayerOutcome apart = run(data);
  const LayerOutcome in_place = run(data, {.in_place = true});
  EXPECT_EQ(apart.output, in_place.output);
  EXPECT_EQ(apart.input_gradients, in_place.input_gradients);
  EXPECT_EQ(apart.parameter_gradients, in_place.parameter_gradients);
}

// overwrite(b) + overwrite(c) = add(c) onto what overwrite(b) left.
TEST_P(ReferenceLayer, AddsToParameterGradients) {
  const LayerData other = draw(GetParam(), 2);
  const LayerOutcome first = run(data), second = run(other);
  const LayerOutcome sum = run(other, {.gradients = first.parameter_gradients});
  for (std::size_t p = 0; p < sum.parameter_gradients.size(); ++p) {
    for (std::size_t i = 0; i < sum.parameter_gradients[p].size(); ++i) {
      // Rows of an embedding are added one by one, not as one sum: a few roundings apart.
      EXPECT_NEAR(sum.parameter_gradients[p][i],
                  first.parameter_gradients[p][i] + second.parameter_gradients[p][i], 1e-13);
    }
  }
}

// Parameters' gradients are the same where nobody wants the inputs'.
TEST_P(ReferenceLayer, MayLeaveOutInputGradients) {
  if (facts_of(GetParam()).parameters.empty()) return;
  const LayerOutcome without = run(data, {.wants_input_gradients = false});
  EXPECT_EQ(without.parameter_gradients, run(data).parameter_gradients);
}

// Inputs' gradients are the same where nobody wants the parameters'.
TEST_P(ReferenceLayer, MayBeFrozen) {
  EXPECT_EQ(run(data, {.frozen = true}).input_gradients, run(data).input_gradients);
}

INSTANTIATE_TEST_SUITE_P(Cases, ReferenceLayer, testing::ValuesIn(layer_cases()), name_of);

TEST(LayerCases, CoverEveryKind) {
  // Moved by a plan's collectives: there is no kernel to test.
  std::set<std::size_t> kinds = {LayerSpec(GatherRows{2}).index(),
                                 LayerSpec(ScatterRows{2}).index()};
  for (const LayerCase& layer : layer_cases())
    kinds.insert(layer.layer.index());
  EXPECT_EQ(kinds.size(), std::variant_size_v<LayerSpec>);
}

// Of a part, as of the whole: numbers that no class or token has, those of padding among classes.
class WrongNumber : public testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  void run(const LayerSpec& layer, const std::vector<Shape>& inputs, std::size_t input,
           double number) {
    const LayerCase layer_case{"", layer, inputs, 2};
    LayerData data = draw(layer_case, 1);
    data.inputs[input][1] = number;
    const auto backend = make_backend(GetParam());
    run_layer(*backend, layer_case, data);
  }
};

TEST_P(WrongNumber, IsNoLabel) {
  for (const CrossEntropy& loss : {CrossEntropy{12}, CrossEntropy{5, {3, 0}, 12}}) {
    const std::vector<Shape> inputs = {{{9, loss.classes}}, {{9}}};
    run(loss, inputs, 1, 11);
    EXPECT_DEATH(run(loss, inputs, 1, 12), "label 12 of 12 classes");
    EXPECT_DEATH(run(loss, inputs, 1, -1), "label -1 of 12 classes");
  }
}

TEST_P(WrongNumber, IsNoToken) {
  for (const Embedding& table : {Embedding{12, 4}, Embedding{4, 4, {3, 1}}}) {
    run(table, {{{9}}}, 0, 11);
    EXPECT_DEATH(run(table, {{{9}}}, 0, 12), "token 12 of a vocabulary of 12");
    EXPECT_DEATH(run(table, {{{9}}}, 0, -1), "token -1 of a vocabulary of 12");
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, WrongNumber, testing::ValuesIn(backend_names()),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace rehearse::exec
