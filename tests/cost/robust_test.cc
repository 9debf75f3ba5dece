#include "cost/robust.h"

#include <gtest/gtest.h>

#include <cmath>

#include "model/base/random.h"

namespace rehearse {
namespace {

std::vector<double> ones(std::size_t n) {
  return std::vector<double>(n, 1.0);
}

TEST(Robust, WeightedMedian) {
  const std::vector<double> values = {5, 1, 3};
  EXPECT_EQ(weighted_median(values, ones(3)), 3);
  EXPECT_EQ(weighted_median(values, std::vector<double>{10, 1, 1}), 5);
  EXPECT_EQ(weighted_median(values, std::vector<double>{1, 10, 1}), 1);
}

TEST(Robust, DeviationIsThatOfNormalValuesAndOutliersDoNotMoveIt) {
  Random random(1);
  std::vector<double> values;
  for (int i = 0; i < 20'000; ++i)
    values.push_back(7 + 0.3 * random.normal());
  EXPECT_NEAR(robust_deviation(values, ones(values.size())), 0.3, 0.01);
  for (std::size_t i = 0; i < values.size(); i += 10)
    values[i] = 1e6;
  EXPECT_NEAR(robust_deviation(values, ones(values.size())), 0.3, 0.05);
}

// Within 4 deviations of 0.01, the least there is, in full; at one and a half times that half.
TEST(Robust, WeightsFallBeyondTheCut) {
  std::vector<double> residuals(8, 0.0);
  residuals.insert(residuals.end(), {0.039, -0.039, 0.06, -0.4});
  const std::vector<double> weights = outlier_weights(residuals, ones(12));
  for (std::size_t i = 0; i < 10; ++i)
    EXPECT_EQ(weights[i], 1) << i;
  EXPECT_NEAR(weights[10], 0.5, 1e-12);
  EXPECT_EQ(weights[11], 0);
}

TEST(Robust, NormalNoiseHasNextToNoOutliers) {
  Random random(2);
  std::vector<double> residuals;
  for (int i = 0; i < 10'000; ++i)
    residuals.push_back(0.2 * random.normal());
  int out = 0;
  for (const double weight : outlier_weights(residuals, ones(residuals.size())))
    out += weight < 1;
  EXPECT_LT(out, 10);  // 0.6 expected beyond 4 deviations
}

}  // namespace
}  // namespace rehearse
