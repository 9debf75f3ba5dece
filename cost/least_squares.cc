#include "cost/least_squares.h"

#include <Eigen/QR>
#include <algorithm>
#include <bit>
#include <vector>

#include "model/base/check.h"

namespace rehearse {
namespace {

using Eigen::Index;

constexpr Index kMostColumns = 12;
// A support with more columns must fit better by this share of |b| to be preferred.
constexpr double kGain = 1e-9;

std::vector<Index> columns_of(unsigned support) {
  std::vector<Index> columns;
  for (Index c = 0; support >> c != 0; ++c) {
    if ((support >> c & 1u) != 0) columns.push_back(c);
  }
  return columns;
}

// Fewest columns first, then the leftmost.
std::vector<unsigned> supports(Index columns) {
  std::vector<unsigned> all(1u << columns);
  for (unsigned s = 0; s < all.size(); ++s)
    all[s] = s;
  std::stable_sort(all.begin(), all.end(),
                   [](unsigned x, unsigned y) { return std::popcount(x) < std::popcount(y); });
  return all;
}

}  // namespace

Eigen::VectorXd nonnegative_least_squares(const Eigen::MatrixXd& a, const Eigen::VectorXd& b) {
  REHEARSE_CHECK(a.rows() == b.size() && a.cols() <= kMostColumns, "{}x{} matrix, {} values",
                 a.rows(), a.cols(), b.size());
  // Columns are seconds per FLOP, per byte and per call: of one size before they are compared.
  Eigen::VectorXd scale = a.colwise().norm().transpose();
  for (double& s : scale)
    s = s > 0 ? s : 1;
  const Eigen::MatrixXd scaled = a * scale.cwiseInverse().asDiagonal();
  Eigen::VectorXd best = Eigen::VectorXd::Zero(a.cols());
  double error = b.norm();
  for (const unsigned support : supports(a.cols())) {
    const std::vector<Index> columns = columns_of(support);
    if (columns.empty()) continue;
    const Eigen::MatrixXd part = scaled(Eigen::indexing::all, columns);
    const Eigen::ColPivHouseholderQR<Eigen::MatrixXd> factors(part);
    if (factors.rank() < part.cols()) continue;
    const Eigen::VectorXd x = factors.solve(b);
    if (x.minCoeff() < 0) continue;
    const double rest = (part * x - b).norm();
    if (rest >= error - kGain * b.norm()) continue;
    error = rest;
    best.setZero();
    best(columns) = x;
  }
  return best.cwiseQuotient(scale);
}

}  // namespace rehearse
