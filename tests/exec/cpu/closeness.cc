#include "tests/exec/cpu/closeness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace rehearse::exec {
namespace {

double largest(const std::vector<double>& values) {
  double result = 0;
  for (const double value : values)
    result = std::max(result, std::abs(value));
  return result;
}

}  // namespace

double sum_error(double terms) {
  constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
  return 8 * kEpsilon * std::sqrt(terms);
}

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

void expect_within(double error, const std::vector<double>& expected,
                   const std::vector<double>& actual, const std::string& what) {
  ASSERT_EQ(expected.size(), actual.size()) << what;
  const double tolerance = error * largest(expected);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(expected[i], actual[i], tolerance) << what << " element " << i;
  }
}

void expect_within(double error, const LayerOutcome& expected, const LayerOutcome& actual) {
  expect_within(error, expected.output, actual.output, "output");
  const auto each = [&](const auto& a, const auto& b, const std::string& what) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i)
      expect_within(error, a[i], b[i], what);
  };
  each(expected.auxiliaries, actual.auxiliaries, "auxiliary");
  each(expected.input_gradients, actual.input_gradients, "input gradient");
  each(expected.parameter_gradients, actual.parameter_gradients, "parameter gradient");
}

}  // namespace rehearse::exec
