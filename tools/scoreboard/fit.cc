#include "tools/scoreboard/fit.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <set>

namespace rehearse {
namespace {

constexpr double kDifference = 0.05;

// ln(predicted / measured)
Result<double> residual(const Case& one, const Factors& factors, Predictions& predictions) {
  const Result<double> predicted = predictions.of(one, factors);
  if (!predicted) return predicted.errors();
  return std::log(*predicted / one.measured);
}

bool is_for(const Case& one, const std::string& constant) {
  return std::find(one.constants.begin(), one.constants.end(), constant) != one.constants.end();
}

}  // namespace

Result<double> Predictions::of(const Case& one, const Factors& factors) {
  const auto known = made_.find({&one, factors});
  if (known != made_.end()) return known->second;
  const Result<double> predicted = one.predict(factors);
  if (predicted) made_[{&one, factors}] = *predicted;
  return predicted;
}

Result<Factors> fit(const std::vector<const Case*>& cases, Predictions& predictions) {
  std::set<std::string> names;
  std::vector<const Case*> fitted;
  for (const Case* one : cases) {
    if (!one->is_fitted) continue;
    fitted.push_back(one);
    names.insert(one->constants.begin(), one->constants.end());
  }
  const auto rows = static_cast<Eigen::Index>(fitted.size()),
             columns = static_cast<Eigen::Index>(names.size());
  Eigen::VectorXd residuals(rows);
  Eigen::MatrixXd slopes = Eigen::MatrixXd::Zero(rows, columns);
  for (Eigen::Index r = 0; r < rows; ++r) {
    const Case& one = *fitted[static_cast<std::size_t>(r)];
    const Result<double> now = residual(one, {}, predictions);
    if (!now) return now.errors();
    residuals(r) = *now;
    Eigen::Index column = 0;
    for (const std::string& name : names) {
      if (is_for(one, name)) {
        const Result<double> then = residual(one, {{name, std::exp(kDifference)}}, predictions);
        if (!then) return then.errors();
        slopes(r, column) = (*then - *now) / kDifference;
      }
      ++column;
    }
  }
  const Eigen::MatrixXd squares =
      slopes.transpose() * slopes + kPrior * Eigen::MatrixXd::Identity(columns, columns);
  const Eigen::VectorXd logarithms = squares.ldlt().solve(-(slopes.transpose() * residuals));
  Factors factors;
  Eigen::Index column = 0;
  for (const std::string& name : names)
    factors[name] = std::exp(logarithms(column++));
  return factors;
}

}  // namespace rehearse
