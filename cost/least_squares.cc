#include "cost/least_squares.h"

#include <Eigen/LU>
#include <Eigen/QR>
#include <algorithm>
#include <bit>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

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

std::vector<std::optional<double>> confidence(const Eigen::MatrixXd& a, const Eigen::VectorXd& b,
                                              const Eigen::VectorXd& x) {
  constexpr double kBeyond = 0.95;        // of both sides together 90 %
  constexpr double kLeastFreedom = 1e-3;  // of a row that alone decides a coefficient
  std::vector<std::optional<double>> widths(static_cast<std::size_t>(x.size()));
  std::vector<Index> columns;
  for (Index c = 0; c < x.size(); ++c) {
    if (x(c) > 0) columns.push_back(c);
  }
  const Index weighing = (a.array() != 0).rowwise().any().count();
  const Index freedom = weighing - std::ssize(columns);
  if (columns.empty() || freedom < 1) return widths;
  const Eigen::MatrixXd part = a(Eigen::indexing::all, columns);
  const Eigen::VectorXd scale = part.colwise().norm().transpose();
  const Eigen::MatrixXd scaled = part * scale.cwiseInverse().asDiagonal();
  const Eigen::MatrixXd inverse = (scaled.transpose() * scaled).inverse();
  const Eigen::VectorXd residuals = a * x - b;
  Eigen::MatrixXd spread = scaled;
  for (Index r = 0; r < scaled.rows(); ++r) {
    const double leverage = scaled.row(r) * inverse * scaled.row(r).transpose();
    spread.row(r) *= residuals(r) / std::max(1 - leverage, kLeastFreedom);
  }
  const Eigen::MatrixXd covariance = inverse * (spread.transpose() * spread) * inverse;
  const double t =
      boost::math::quantile(boost::math::students_t(static_cast<double>(freedom)), kBeyond);
  for (std::size_t k = 0; k < columns.size(); ++k) {
    const auto at = static_cast<Index>(k);
    widths[static_cast<std::size_t>(columns[k])] =
        t * std::sqrt(std::max(covariance(at, at), 0.0)) / scale(at);
  }
  return widths;
}

}  // namespace rehearse
