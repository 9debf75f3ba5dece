#include "cost/least_squares.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace rehearse
