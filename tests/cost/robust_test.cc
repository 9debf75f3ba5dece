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

// However large one weight is, it neither outvotes the others nor moves what they weigh.
TEST(Robust, LimitedWeightsDoNotFollowOne) {
  for (const std::size_t n : {4u, 14u, 30u, 46u}) {
    std::vector<double> weights;
    for (std::size_t i = 1; i <= n; ++i)
      weights.push_back(static_cast<double>(i));
    weights.back() = 1e2 * static_cast<double>(n);
    const std::vector<double> once = limited(weights);
    weights.back() *= 1e3;
    EXPECT_EQ(limited(weights), once) << n;
    double sum = 0;
    for (const double weight : once)
      sum += weight;
    EXPECT_LE(once.back() / sum, std::max(2.0 / static_cast<double>(n), 0.3) + 1e-12) << n;
    EXPECT_EQ(once.front(), 1) << "small weights stay what they are";
  }
}

TEST(Robust, LimitedLeavesEqualWeightsAlone) {
  EXPECT_EQ(limited(ones(3)), ones(3));
  EXPECT_EQ(limited(ones(40)), ones(40));
  EXPECT_EQ(limited({5}), std::vector<double>{5});
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
