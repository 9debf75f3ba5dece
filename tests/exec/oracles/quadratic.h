// A training problem that is quadratic in its weights, so that what any masking of it converges to
// can be computed.
//
//   logits(s) = W_0 phi_0(s) + sum over units j of W_j phi_j(s)
//   f(W)      = mean over samples s of 1/2 |logits(s) - one_hot(label of s)|^2
//
// where the phi_j are layers without parameters: W_0 is everybody's, the others are maskable. With
// Phi the features (phi_0(s), phi_1(s), ...) of all samples, a row each, and T the one-hot labels,
// the gradient of f at the weights X (a row per feature, a column per class) is
//
//   L X - B,   L = Phi' Phi / n,   B = Phi' T / n.
#pragma once

#include <Eigen/Dense>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "exec/run/train.h"
#include "model/net/net.h"
#include "model/schedule/strategy.h"

namespace rehearse::testing {

// The phi_j: of a channel's pixels p (p0 the first one) and s(x) = x sigmoid(x). phi_0 is their
// mean.
enum class Feature {
  largest,         // max p
  smallest,        // max -p
  first,           // p0
  first_square,    // s(p0) p0
  first_mirrored,  // s(-p0) (-p0)
  mean_square,     // mean s(p) p
  mean_mirrored,   // mean s(-p) (-p)
};

class Quadratic {
 public:
  // With one maskable unit per feature.
  Quadratic(const std::vector<Feature>& units, std::int64_t samples);

  const Net& net() const { return net_; }
  std::int64_t samples() const { return features_.rows(); }

  Eigen::MatrixXd hessian() const;  // L
  Eigen::MatrixXd linear() const;   // B
  // f's gradient over these samples for a worker that has the rows with a 1 in `held` only; 0 in
  // the others.
  Eigen::MatrixXd gradient(const Eigen::MatrixXd& weights, const Eigen::VectorXd& held,
                           const std::vector<std::int64_t>& samples) const;

  // A plan in double, verified, with this many samples per worker and step.
  Plan plan(const StrategySpec& strategy, std::int64_t workers, std::int64_t samples,
            const Optimizer& optimizer, std::uint64_t seed = 1) const;
  // Which samples a micro-batch of a step has.
  using Dealer =
      std::function<std::vector<std::int64_t>(std::int64_t step, std::int64_t micro_batch)>;
  // On threads of this process; rank 0's result.
  exec::TrainingRun train(const Plan& plan, const Dealer& dealer, std::int64_t steps,
                          std::int64_t align_every = 0) const;
  exec::TrainingRun train(const std::function<std::unique_ptr<exec::PlanSource>()>& plans,
                          std::size_t workers, const Dealer& dealer, std::int64_t steps,
                          std::int64_t align_every = 0) const;
  // All of them for every worker.
  Dealer all_samples(const Plan& plan) const;

  // The executor's weights, or gradients, as X.
  Eigen::MatrixXd matrix(const exec::Weights& weights) const;
  // Workers x rows of X: 1 where the worker holds the row.
  Eigen::MatrixXd holding(const Plan& plan) const;

 private:
  Net net_;
  Eigen::MatrixXd inputs_, features_, targets_;  // a row per sample
};

}  // namespace rehearse::testing
