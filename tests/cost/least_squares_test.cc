#include "cost/least_squares.h"

#include <gtest/gtest.h>

#include <Eigen/LU>
#include <array>
#include <cmath>

#include "model/base/random.h"

namespace rehearse {
namespace {

Eigen::MatrixXd random_matrix(Random& random, Eigen::Index rows, Eigen::Index columns) {
  Eigen::MatrixXd a(rows, columns);
  for (double& entry : a.reshaped())
    entry = random.normal();
  return a;
}

TEST(NonnegativeLeastSquares, RecoversWhatMadeTheValues) {
  Random random(1);
  const Eigen::MatrixXd a = random_matrix(random, 7, 3).cwiseAbs();
  const Eigen::Vector3d x(2e-12, 0, 3e-6);
  EXPECT_LT((nonnegative_least_squares(a, a * x) - x).norm(), 1e-15);
}

// Karush-Kuhn-Tucker: x is the minimum if and only if x >= 0, the gradient a'(a x - b) is 0 where x
// is positive and not negative where x is 0 (there only going below 0 would help).
TEST(NonnegativeLeastSquares, IsOptimal) {
  Random random(2);
  int at_the_bound = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const Eigen::MatrixXd a = random_matrix(random, 8, 4);
    const Eigen::VectorXd b = random_matrix(random, 8, 1);
    const Eigen::VectorXd x = nonnegative_least_squares(a, b);
    const Eigen::VectorXd gradient = a.transpose() * (a * x - b);
    for (Eigen::Index i = 0; i < x.size(); ++i) {
      EXPECT_GE(x(i), 0);
      if (x(i) > 0) {
        EXPECT_NEAR(gradient(i), 0, 1e-9);
      } else {
        EXPECT_GE(gradient(i), -1e-9);
        ++at_the_bound;
      }
    }
  }
  EXPECT_GT(at_the_bound, 0) << "the bound was never tried";
}

// FLOPs that are a multiple of the bytes cannot be told from them: one column does all.
TEST(NonnegativeLeastSquares, PrefersFewColumnsAmongEquals) {
  Eigen::MatrixXd a(3, 2);
  a << 1, 2, 2, 4, 3, 6;
  const Eigen::Vector3d b(5, 10, 15);
  EXPECT_TRUE(nonnegative_least_squares(a, b).isApprox(Eigen::Vector2d(5, 0)));
}

TEST(NonnegativeLeastSquares, LeavesOutEmptyColumns) {
  Eigen::MatrixXd a(2, 2);
  a << 0, 1, 0, 2;
  EXPECT_TRUE(nonnegative_least_squares(a, Eigen::Vector2d(3, 6)).isApprox(Eigen::Vector2d(0, 3)));
}

// With equal deviations of the rows, known: s^2 (a' a)^-1.
TEST(Confidence, IsTheCovarianceOfKnownNoise) {
  Random random(3);
  constexpr Eigen::Index kRows = 4000;
  const Eigen::MatrixXd a = random_matrix(random, kRows, 2).cwiseAbs();
  const Eigen::VectorXd b = a * Eigen::Vector2d(2, 5) + 0.1 * random_matrix(random, kRows, 1);
  const auto widths = confidence(a, b, nonnegative_least_squares(a, b));
  const Eigen::Matrix2d expected = 0.01 * (a.transpose() * a).inverse();
  for (Eigen::Index c = 0; c < 2; ++c) {
    const auto width = widths[static_cast<std::size_t>(c)];
    ASSERT_TRUE(width);
    EXPECT_NEAR(*width / (1.645 * std::sqrt(expected(c, c))), 1, 0.05);
  }
}

// Rows whose deviations grow with their entries, as times' do, few of them, over many draws.
TEST(Confidence, HoldsTheTruthInNineOfTenDraws) {
  Random random(4);
  const Eigen::Vector2d truth(2, 5);
  constexpr int kTrials = 2000;
  std::array<int, 2> inside{};
  for (int trial = 0; trial < kTrials; ++trial) {
    const Eigen::MatrixXd a = random_matrix(random, 12, 2).array().exp();
    const Eigen::VectorXd exact = a * truth;
    const Eigen::VectorXd b = exact.cwiseProduct(
        Eigen::VectorXd::Ones(12) + 0.1 * Eigen::VectorXd(random_matrix(random, 12, 1)));
    const Eigen::VectorXd weights = exact.cwiseInverse().cwiseSqrt();
    const Eigen::MatrixXd rows = weights.asDiagonal() * a;
    const Eigen::VectorXd values = weights.cwiseProduct(b);
    const Eigen::VectorXd x = nonnegative_least_squares(rows, values);
    const auto widths = confidence(rows, values, x);
    for (std::size_t c = 0; c < 2; ++c) {
      const auto at = static_cast<Eigen::Index>(c);
      inside[c] += widths[c] && std::abs(x(at) - truth(at)) <= *widths[c];
    }
  }
  for (const int in : inside) {
    EXPECT_GE(in, 0.85 * kTrials);
    EXPECT_LE(in, 0.95 * kTrials);
  }
}

TEST(Confidence, SaysNothingAtABoundNorOfAsManyCoefficientsAsRows) {
  Eigen::MatrixXd a(3, 2);
  a << 1, 1, 1, 2, 1, 3;
  const Eigen::Vector3d falls(3, 2, 1);  // the second coefficient would be negative
  const auto widths = confidence(a, falls, nonnegative_least_squares(a, falls));
  EXPECT_TRUE(widths[0]);
  EXPECT_FALSE(widths[1]);
  const Eigen::MatrixXd two = a.topRows(2);
  const Eigen::Vector2d b(3, 5);
  EXPECT_FALSE(confidence(two, b, nonnegative_least_squares(two, b))[0]);
}

// Two rows decide both coefficients exactly, which tells nothing of how certain they are.
TEST(Confidence, DoesNotCountRowsOfWeightZero) {
  Eigen::MatrixXd a(4, 2);
  a << 1, 1, 1, 2, 0, 0, 0, 0;
  const Eigen::Vector4d b(3, 5, 0, 0);
  const Eigen::VectorXd x = nonnegative_least_squares(a, b);
  EXPECT_NEAR(x(1), 2, 1e-12);
  for (const auto& width : confidence(a, b, x))
    EXPECT_FALSE(width);
  Eigen::MatrixXd three = a.topRows(3);
  three.row(2) << 1, 3;
  Eigen::MatrixXd padded = Eigen::MatrixXd::Zero(9, 2);
  padded.topRows(3) = three;
  const Eigen::Vector3d values(3, 5, 6.5);
  Eigen::VectorXd padded_values = Eigen::VectorXd::Zero(9);
  padded_values.head(3) = values;
  const auto widths = confidence(three, values, nonnegative_least_squares(three, values));
  const auto same =
      confidence(padded, padded_values, nonnegative_least_squares(padded, padded_values));
  for (std::size_t c = 0; c < 2; ++c) {
    ASSERT_TRUE(widths[c] && same[c]);
    EXPECT_NEAR(*same[c] / *widths[c], 1, 1e-9);
  }
}

}  // namespace
}  // namespace rehearse
