// Least squares with coefficients that cannot be negative.
#pragma once

#include <Eigen/Core>

namespace rehearse {

// The x >= 0 that minimises |a x - b|. The best x solves the unconstrained problem on its own
// support (the columns where it is positive), so trying all 2^columns supports is exact
// (Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23); meant for few columns.
// Where several supports are equally good, as when columns are multiples of each other, the one
// with the fewest columns wins, then the one with the leftmost.
Eigen::VectorXd nonnegative_least_squares(const Eigen::MatrixXd& a, const Eigen::VectorXd& b);

}  // namespace rehearse
