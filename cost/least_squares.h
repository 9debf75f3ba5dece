// Least squares with coefficients that cannot be negative, and how certain they are.
#pragma once

#include <Eigen/Core>
#include <optional>
#include <vector>

namespace rehearse {

// The x >= 0 that minimises |a x - b|. The best x solves the unconstrained problem on its own
// support (the columns where it is positive), so trying all 2^columns supports is exact
// (Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23); meant for few columns.
// Where several supports are equally good, as when columns are multiples of each other, the one
// with the fewest columns wins, then the one with the leftmost.
Eigen::VectorXd nonnegative_least_squares(const Eigen::MatrixXd& a, const Eigen::VectorXd& b);

// By column, half the width of the 90 % confidence band of x, the solution above; none where x is 0
// (the bound, not the data, says so) and where there are no more rows than columns of the support;
// rows of nothing, as those of weight 0 are, do not count.
//
// From the covariance of the fit on its support that holds whatever the deviations of the rows are,
//   C = M (sum over rows r of a_r a_r' (e_r / (1 - h_r))^2) M,   M = (a' a)^-1,
// with residuals e and leverages h_r = a_r' M a_r (HC3: MacKinnon and White, Journal of
// Econometrics 29, 1985; Long and Ervin, The American Statistician 54, 2000), times Student's t of
// rows - columns. It asks for no model of the noise, as a bootstrap would not, and costs one
// inverse, where that would cost hundreds of fits of every kernel class.
std::vector<std::optional<double>> confidence(const Eigen::MatrixXd& a, const Eigen::VectorXd& b,
                                              const Eigen::VectorXd& x);

}  // namespace rehearse
