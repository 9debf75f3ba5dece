#include "tools/scoreboard/fit.h"

#include <Eigen/Dense>
#include <cmath>
#include <set>

namespace rehearse {
namespace {

constexpr double kDifference = 0.02;

// ln(predicted / measured) of each.
Result<Eigen::VectorXd> residuals(const std::vector<const Case*>& cases, const Factors& factors) {
  Eigen::VectorXd all(static_cast<Eigen::Index>(cases.size()));
  Eigen::Index i = 0;
  for (const Case* one : cases) {
    const Result<Seconds> predicted = one->predict(factors);
    if (!predicted) return predicted.errors();
    all(i++) = std::log(*predicted / one->measured);
  }
  return all;
}

}  // namespace

Result<Factors> fit(const std::vector<const Case*>& cases) {
  std::set<std::string> names;
  std::vector<const Case*> fitted;
  for (const Case* one : cases) {
    if (!one->is_fitted) continue;
    fitted.push_back(one);
    names.insert(one->constants.begin(), one->constants.end());
  }
  Factors factors;
  for (const std::string& name : names)
    factors[name] = 1;
  const auto count = static_cast<Eigen::Index>(names.size());
  for (int step = 0; step < kSteps && !fitted.empty(); ++step) {
    const Result<Eigen::VectorXd> now = residuals(fitted, factors);
    if (!now) return now.errors();
    Eigen::MatrixXd slopes(now->size(), count);
    Eigen::VectorXd logs(count);
    Eigen::Index column = 0;
    for (const auto& [name, factor] : factors) {
      Factors changed = factors;
      changed[name] = factor * std::exp(kDifference);
      const Result<Eigen::VectorXd> then = residuals(fitted, changed);
      if (!then) return then.errors();
      slopes.col(column) = (*then - *now) / kDifference;
      logs(column++) = std::log(factor);
    }
    const Eigen::MatrixXd squares =
        slopes.transpose() * slopes + kPrior * Eigen::MatrixXd::Identity(count, count);
    const Eigen::VectorXd change =
        squares.ldlt().solve(-(slopes.transpose() * *now + kPrior * logs));
    column = 0;
    for (auto& [name, factor] : factors)
      factor *= std::exp(change(column++));
  }
  return factors;
}

}  // namespace rehearse
