// What masked training of a quadratic converges to, and by which steps: the executor's own, in
// double, against linear algebra.
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>
#include <set>
#include <sstream>

#include "model/base/random.h"
#include "tests/exec/oracles/quadratic.h"
#include "tests/exec/run/turning_plans.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using testing::Feature;
using testing::Quadratic;

const std::vector<Feature> kFour = {Feature::largest, Feature::smallest, Feature::first,
                                    Feature::mean_square};
const std::vector<Feature> kFive = {Feature::largest, Feature::smallest, Feature::first,
                                    Feature::first_square, Feature::first_mirrored};
const std::vector<Feature> kSeven = {
    Feature::largest,        Feature::smallest,    Feature::first,        Feature::first_square,
    Feature::first_mirrored, Feature::mean_square, Feature::mean_mirrored};
constexpr std::int64_t kSamples = 96;  // four times the largest problem's rows

struct Case {
  std::string name;
  std::vector<Feature> units;
  std::int64_t workers = 4, holders = 2;
  std::uint64_t seed = 1;
  std::int64_t micro_batches = 1;
  Sharding sharding = Sharding::none;
  Masking masking = Masking::forward;
  // Given: units are dealt by them, to unequal numbers of holders.
  std::vector<Fraction> coverages = {};
  AssignmentKind assignment = AssignmentKind::nested;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

Case dealt(std::string name, const std::vector<Feature>& units, AssignmentKind assignment,
           std::vector<Fraction> coverages, Masking masking = Masking::forward) {
  Case c{std::move(name), units, std::ssize(coverages), 0};
  c.masking = masking;
  c.coverages = std::move(coverages);
  c.assignment = assignment;
  return c;
}

std::vector<Case> cases() {
  constexpr auto kBackward = Masking::backward;
  return {
      {"n4_c2", kFour, 4, 2},
      {"n4_c1", kFour, 4, 1},
      {"n4_c3_five_units", kFive, 4, 3},
      {"n4_c2_seven_units", kSeven, 4, 2, 2},
      {"n5_c3", kFive, 5, 3},
      {"n5_c3_seven_units", kSeven, 5, 3, 3},
      {"n5_c2_seven_units", kSeven, 5, 2, 4},
      {"n3_c2_four_units", kFour, 3, 2},
      {"n4_c4", kFive, 4, 4},
      {"n4_c2_accumulated", kSeven, 4, 2, 5, 2},
      {"n4_c2_zero3", kSeven, 4, 2, 2, 1, Sharding::parameters},
      {"n4_c2_backward", kFour, 4, 2, 1, 1, Sharding::none, kBackward},
      {"n4_c1_backward", kFive, 4, 1, 1, 1, Sharding::none, kBackward},
      {"n5_c3_backward", kSeven, 5, 3, 3, 1, Sharding::none, kBackward},
      {"n5_c2_backward_accumulated", kSeven, 5, 2, 4, 2, Sharding::none, kBackward},
      {"n4_c3_backward_zero2", kFive, 4, 3, 1, 1, Sharding::gradients, kBackward},
      dealt("nested", kFour, AssignmentKind::nested, {{1, 1}, {1, 2}, {1, 2}, {1, 4}}),
      dealt("nested_parked", kFive, AssignmentKind::nested, {{4, 5}, {2, 5}, {2, 5}, {1, 5}}),
      dealt("nested_backward", kFour, AssignmentKind::nested, {{1, 1}, {1, 2}, {1, 4}}, kBackward),
      dealt("random", kSeven, AssignmentKind::random, {{1, 2}, {1, 2}, {1, 3}, {1, 3}, {1, 7}}),
      dealt("random_parked", kSeven, AssignmentKind::random, {{1, 4}, {1, 7}}),
      dealt("rolling_parked", kFive, AssignmentKind::rolling, {{3, 5}, {1, 5}, {3, 5}, {2, 5}}),
  };
}

// What the workers' forward passes have: what they hold, or all of it.
MatrixXd seen_by(Masking masking, const MatrixXd& holding) {
  if (masking == Masking::forward) return holding;
  return MatrixXd::Ones(holding.rows(), holding.cols());
}

class QuadraticCase : public ::testing::TestWithParam<Case> {
 protected:
  // Every worker has all samples in every step.
  Plan plan(const Optimizer& optimizer) const {
    const Case& c = GetParam();
    StrategySpec strategy = testing::subnetwork({c.holders, c.workers});
    if (!c.coverages.empty()) strategy = testing::dealt(c.assignment, c.coverages);
    strategy.subnetwork->scaling = Scaling::none;
    strategy.subnetwork->masking = c.masking;
    strategy.micro_batches = c.micro_batches;
    strategy.sharding = c.sharding;
    return problem.plan(strategy, c.workers, kSamples, optimizer, c.seed);
  }

  MatrixXd seen(const Plan& plan) const {
    return seen_by(GetParam().masking, problem.holding(plan));
  }

  const Quadratic problem{GetParam().units, kSamples};
};
INSTANTIATE_TEST_SUITE_P(Masks, QuadraticCase, ::testing::ValuesIn(cases()),
                         [](const auto& c) { return c.param.name; });

VectorXd holders_of(const MatrixXd& holding) {
  return holding.colwise().sum().transpose();
}
// By row: 1 over its holders; 0 where there are none.
VectorXd per_holder(const MatrixXd& holding) {
  const VectorXd holders = holders_of(holding);
  return (holders.array() > 0).select(holders.cwiseInverse(), 0);
}

// A worker whose forward pass has the rows that s marks (1 or 0), and that trains those that h
// marks, finds the gradient h o (L (s o X) - B). The mean of row j over its holders H_j is
// sum_l L_jl Lam_jl X_l - B_j with Lam_jl = (holders of j that see l) / |H_j|: the operator is
// L o Lam, and training ends where (L o Lam) X = B. A row of `holding` and `seen` per worker; where
// they are one (forward masking), Lam_jl = (workers holding both) / (holders of j); where all see
// all (backward masking), the operator is L and training ends at the optimum, whatever the masks.
//
// Each row is divided by the number of its own holders: nothing of this needs them to be equally
// many. A row that nobody holds has no gradient and stays what it was at first; nobody sees it
// either, so that it has no part in where the others end: (L o Lam) X = B in the rows that are
// held.
MatrixXd masked(const MatrixXd& hessian, const MatrixXd& holding, const MatrixXd& seen) {
  return hessian.cwiseProduct(per_holder(holding).asDiagonal() * holding.transpose() * seen);
}

// The slope at 0 of what is held.
MatrixXd masked(const MatrixXd& linear, const MatrixXd& holding) {
  return per_holder(holding).cwiseProduct(holders_of(holding)).asDiagonal() * linear;
}

// The rate and momentum by which a quadratic with curvatures in [least, most] converges fastest: by
// the root of the momentum per step (Polyak, "Some methods of speeding up the convergence of
// iteration methods", 1964).
Optimizer heavy_ball(double least, double most) {
  const double low = std::sqrt(least), high = std::sqrt(most);
  return {.rule = Sgd{std::pow((high - low) / (high + low), 2)}, .lr = 4 / std::pow(high + low, 2)};
}

double relative(const MatrixXd& difference, const MatrixXd& of) {
  return difference.norm() / of.norm();
}

// Oracles 1 and 2: where training ends. The conditions of the operators are below 500, so roundings
// of 1e-16 leave less than 1e-13.
TEST_P(QuadraticCase, TrainingConvergesToTheFixedPoint) {
  Plan plan = this->plan(Optimizer{.rule = Sgd{0.9}});
  const MatrixXd hessian = problem.hessian(), linear = problem.linear();
  const MatrixXd holding = problem.holding(plan);
  const MatrixXd op = masked(hessian, holding, seen(plan));
  std::vector<Eigen::Index> held, parked;
  for (Eigen::Index row = 0; row < op.rows(); ++row)
    (holders_of(holding)(row) > 0 ? held : parked).push_back(row);
  // Real and positive: times |H_j| the operator is a Schur product of positive matrices.
  const VectorXd curvature = op(held, held).eigenvalues().real();
  ASSERT_GT(curvature.minCoeff(), 0) << "there is one fixed point";
  const Optimizer optimizer = heavy_ball(curvature.minCoeff(), curvature.maxCoeff());
  plan.training.optimizer = optimizer;
  const double per_step = std::log10(std::get<Sgd>(optimizer.rule).momentum) / 2;
  const auto steps = static_cast<std::int64_t>(-20 / per_step);

  const exec::TrainingRun run = problem.train(plan, problem.all_samples(plan), steps);
  const MatrixXd weights = problem.matrix(run.weights);
  MatrixXd fixed = problem.matrix(run.first_step->weights);
  EXPECT_EQ(weights(parked, Eigen::all), fixed(parked, Eigen::all)) << "bit for bit";
  fixed(held, Eigen::all) =
      MatrixXd(op(held, held)).fullPivLu().solve(MatrixXd(linear(held, Eigen::all)));
  EXPECT_LT(relative(weights - fixed, fixed), 1e-13) << steps << " steps";
  EXPECT_EQ(exec::differing_copies(run.ranks), "");
  // It is the masks' fixed point, not the optimum, unless everybody sees everything.
  const MatrixXd optimum = hessian.ldlt().solve(linear);
  const double bias = relative(weights - optimum, optimum);
  if (seen(plan).isOnes()) {
    EXPECT_LT(bias, 1e-13);
  } else {
    EXPECT_GT(bias, 0.1);
  }
}

// How it gets there: every step is that of the operator. This sees what a fixed point does not,
// such as a factor of a unit's gradient.
TEST_P(QuadraticCase, StepsAreThoseOfTheMeanOverHolders) {
  constexpr double kRate = 0.05, kMomentum = 0.6;
  constexpr int kSteps = 12;
  const Plan plan = this->plan(Optimizer{.rule = Sgd{kMomentum}, .lr = kRate});
  const exec::TrainingRun run = problem.train(plan, problem.all_samples(plan), kSteps);
  const MatrixXd holding = problem.holding(plan);
  const MatrixXd op = masked(problem.hessian(), holding, seen(plan));
  const MatrixXd slope = masked(problem.linear(), holding);
  MatrixXd weights = problem.matrix(run.first_step->weights);
  MatrixXd velocity = MatrixXd::Zero(weights.rows(), weights.cols());
  for (int step = 0; step < kSteps; ++step) {
    velocity = kMomentum * velocity + op * weights - slope;
    weights -= kRate * velocity;
  }
  EXPECT_LT(relative(problem.matrix(run.weights) - weights, weights), 1e-14);
}

// ---- masks that are drawn anew -----------------------------------------------------------------

std::string text_of(const MatrixXd& matrix) {
  std::ostringstream text;
  text << matrix;
  return text.str();
}

class RedrawnCase : public QuadraticCase {
 protected:
  static constexpr double kRate = 0.05, kMomentum = 0.6;
  static constexpr int kEvery = 4, kDraws = 3, kSteps = kEvery * kDraws;

  // A plan for each draw.
  std::vector<Plan> plans() const {
    const Case& c = GetParam();
    StrategySpec strategy = testing::subnetwork({c.holders, c.workers});
    if (!c.coverages.empty()) strategy = testing::dealt(c.assignment, c.coverages);
    strategy.subnetwork->scaling = Scaling::none;
    strategy.subnetwork->masking = c.masking;
    strategy.subnetwork->redraw = kEvery;
    strategy.micro_batches = c.micro_batches;
    std::vector<Plan> plans;
    for (strategy.subnetwork->draw = 0; strategy.subnetwork->draw < kDraws;
         ++strategy.subnetwork->draw) {
      plans.push_back(problem.plan(strategy, c.workers, kSamples,
                                   Optimizer{.rule = Sgd{kMomentum}, .lr = kRate}, c.seed));
    }
    return plans;
  }
};
INSTANTIATE_TEST_SUITE_P(Masks, RedrawnCase, ::testing::ValuesIn([] {
                           std::vector<Case> unsharded = cases();
                           std::erase_if(unsharded, [](const Case& c) {
                             const bool is_nested =
                                 !c.coverages.empty() && c.assignment == AssignmentKind::nested;
                             return c.sharding != Sharding::none || c.holders == c.workers ||
                                    is_nested;
                           });
                           return unsharded;
                         }()),
                         [](const auto& c) { return c.param.name; });

// Every step is that of its own draw's operator, with the weights and the velocity that the steps
// before have left, wherever they were: what moved arrived, and nothing was lost.
TEST_P(RedrawnCase, StepsAreThoseOfTheDrawsInTurn) {
  for (const Moments moments : {Moments::keep, Moments::reset}) {
    const std::vector<Plan> plans = this->plans();
    std::set<std::string> assignments;
    for (const Plan& plan : plans)
      assignments.insert(text_of(problem.holding(plan)));
    ASSERT_GT(assignments.size(), 1u) << "they differ";
    const exec::TrainingRun run = problem.train(
        [&] { return std::make_unique<testing::TurningPlans>(plans, kEvery, moments); },
        plans.front().ranks.size(), problem.all_samples(plans.front()), kSteps);
    EXPECT_EQ(exec::differing_copies(run.ranks), "");
    MatrixXd weights = problem.matrix(run.first_step->weights);
    MatrixXd velocity = MatrixXd::Zero(weights.rows(), weights.cols());
    for (int step = 0; step < kSteps; ++step) {
      const Plan& plan = plans[static_cast<std::size_t>(step / kEvery)];
      if (step % kEvery == 0 && moments == Moments::reset) velocity.setZero();
      const MatrixXd holding = problem.holding(plan);
      const MatrixXd op = masked(problem.hessian(), holding, seen(plan));
      const MatrixXd gradient = op * weights - masked(problem.linear(), holding);
      // What nobody holds keeps its weights and its velocity until somebody does.
      const VectorXd moving = (holders_of(holding).array() > 0).cast<double>();
      velocity += moving.asDiagonal() * ((kMomentum - 1) * velocity + gradient);
      weights -= kRate * (moving.asDiagonal() * velocity);
    }
    EXPECT_LT(relative(problem.matrix(run.weights) - weights, weights), 1e-14)
        << to_string(moments);
  }
}

// ---- stochastic depth ---------------------------------------------------------------------------

// Replicas that leave out what they draw hold all of it: with s_i the rows that replica i runs, the
// gradient is mean over i of s_i o (L (s_i o X) - B), with zeros of those that leave a row out, and
// the velocity moves every row in every step.
TEST(StochasticDepth, StepsAreThoseOfTheMeanOverAllReplicas) {
  constexpr double kRate = 0.05, kMomentum = 0.6;
  constexpr int kSteps = 12;
  const Quadratic problem(kSeven, kSamples);
  for (const std::int64_t micro_batches : {1, 2}) {
    StrategySpec strategy = testing::data_parallel("depth", Bytes::bytes(200));
    strategy.micro_batches = micro_batches;
    std::vector<Plan> plans;
    for (int step = 0; step < kSteps; ++step)
      plans.push_back(problem.plan(testing::with_depth(strategy, 0.3, step), 4, kSamples,
                                   Optimizer{.rule = Sgd{kMomentum}, .lr = kRate}));
    const exec::TrainingRun run =
        problem.train([&] { return std::make_unique<testing::TurningPlans>(plans, 1); }, 4,
                      problem.all_samples(plans.front()), kSteps);
    EXPECT_EQ(exec::differing_copies(run.ranks), "");
    EXPECT_EQ(run.transitions.count, 0) << "everybody has everything";
    const MatrixXd hessian = problem.hessian(), linear = problem.linear();
    MatrixXd weights = problem.matrix(run.first_step->weights);
    MatrixXd velocity = MatrixXd::Zero(weights.rows(), weights.cols());
    for (const Plan& plan : plans) {
      const MatrixXd runs = problem.holding(plan);
      MatrixXd gradient = MatrixXd::Zero(weights.rows(), weights.cols());
      for (Eigen::Index r = 0; r < runs.rows(); ++r) {
        const auto rows = runs.row(r).transpose().asDiagonal();
        gradient += MatrixXd(rows * (hessian * (rows * weights) - linear)) /
                    static_cast<double>(runs.rows());
      }
      velocity = kMomentum * velocity + gradient;
      weights -= kRate * velocity;
    }
    EXPECT_LT(relative(problem.matrix(run.weights) - weights, weights), 1e-14);
  }
}

// ---- alignment ---------------------------------------------------------------------------------

// Cosine over the rows that `held` marks.
double cosine(const MatrixXd& a, const MatrixXd& b, const VectorXd& held) {
  const MatrixXd x = held.asDiagonal() * a, y = held.asDiagonal() * b;
  return x.cwiseProduct(y).sum() / (x.norm() * y.norm());
}

// Of the gradients above: everybody's on all samples, which are the common batch here. Below 1
// wherever somebody's forward pass misses a row.
TEST_P(QuadraticCase, GradientsAlignAsTheMasksSay) {
  const Plan plan = this->plan(Optimizer{.rule = Sgd{0}, .lr = 0.05});
  const exec::TrainingRun run = problem.train(plan, problem.all_samples(plan), 2, 2);
  ASSERT_EQ(run.alignments.size(), 1u);
  EXPECT_EQ(run.alignments[0].step, 2);
  const exec::Alignment& found = run.alignments[0].overall;

  const MatrixXd weights = problem.matrix(run.weights), hessian = problem.hessian();
  const MatrixXd holding = problem.holding(plan), seen = this->seen(plan);
  const MatrixXd whole = hessian * weights - problem.linear();
  // masks: whether a pass that is compared misses something.
  const auto expect = [&](const std::optional<double>& cosine, double expected, bool masks) {
    ASSERT_TRUE(cosine);
    EXPECT_NEAR(*cosine, expected, 1e-12);
    if (masks) {
      EXPECT_LT(*cosine, 0.9999);
    } else {
      EXPECT_NEAR(*cosine, 1, 1e-12);
    }
  };
  std::vector<MatrixXd> own;
  MatrixXd mean = MatrixXd::Zero(weights.rows(), weights.cols());
  for (std::int64_t i = 0; i < holding.rows(); ++i) {
    const VectorXd held = holding.row(i).transpose();
    own.push_back(held.asDiagonal() *
                  (hessian * seen.row(i).asDiagonal() * weights - problem.linear()));
    mean += per_holder(holding).asDiagonal() * own.back();
    expect(found.workers.at(static_cast<std::size_t>(i)), cosine(own.back(), whole, held),
           !seen.row(i).isOnes());
  }
  expect(found.aggregate, cosine(mean, whole, VectorXd::Ones(weights.rows())), !seen.isOnes());
  ASSERT_EQ(found.workers.size(), own.size());
  ASSERT_EQ(found.pairs.size(), own.size() * (own.size() - 1) / 2);
  for (const exec::Alignment::Pair& pair : found.pairs) {
    ASSERT_LT(pair.first, pair.second);
    const VectorXd both = holding.row(static_cast<std::int64_t>(pair.first))
                              .cwiseProduct(holding.row(static_cast<std::int64_t>(pair.second)))
                              .transpose();
    const double expected = cosine(own[pair.first], own[pair.second], both);
    ASSERT_TRUE(pair.cosine);
    EXPECT_NEAR(*pair.cosine, expected, 1e-12);
  }
}

// ---- noise -------------------------------------------------------------------------------------

// Mean and variance, row by row, of the gradient of one sample drawn at random, for a worker whose
// forward pass has the rows that `seen` marks.
struct Moments {
  MatrixXd mean;
  VectorXd variance;
};
Moments moments_of_a_sample(const Quadratic& problem, const MatrixXd& weights,
                            const VectorXd& seen) {
  std::vector<MatrixXd> gradients;
  for (std::int64_t s = 0; s < problem.samples(); ++s)
    gradients.push_back(problem.gradient(weights, seen, {s}));
  const auto n = static_cast<double>(problem.samples());
  Moments moments{MatrixXd::Zero(weights.rows(), weights.cols()), VectorXd::Zero(weights.rows())};
  for (const MatrixXd& gradient : gradients)
    moments.mean += gradient / n;
  for (const MatrixXd& gradient : gradients)
    moments.variance += (gradient - moments.mean).rowwise().squaredNorm() / n;
  return moments;
}

// Of the mean over a row's holders, each with `samples` of its own: the mean of their means, and a
// c-th of the mean of their variances. A row of `seen` per worker.
Moments moments_of_the_mean(const Quadratic& problem, const MatrixXd& weights,
                            const MatrixXd& holding, const MatrixXd& seen, double samples) {
  const VectorXd holders = holding.colwise().sum().transpose();
  Moments sum{MatrixXd::Zero(weights.rows(), weights.cols()), VectorXd::Zero(weights.rows())};
  for (std::int64_t worker = 0; worker < holding.rows(); ++worker) {
    const Moments one = moments_of_a_sample(problem, weights, seen.row(worker).transpose());
    const VectorXd share = holding.row(worker).transpose().cwiseQuotient(holders);
    sum.mean += share.asDiagonal() * one.mean;
    sum.variance += share.cwiseProduct(share).cwiseProduct(one.variance) / samples;
  }
  return sum;
}

// Oracle 7: with independent data the gradient of a unit has a c-th of the mean variance of its
// holders', that of everybody an N-th. Under forward masking these see different networks, under
// backward masking one, so that it is sigma^2 / c. From 250 draws the variances come out within
// 11 % of that; twice as many holders would be a factor of two.
class Noise : public ::testing::TestWithParam<std::tuple<std::int64_t, Masking>> {};
INSTANTIATE_TEST_SUITE_P(Holders, Noise,
                         ::testing::Combine(::testing::Values(1, 2, 4),
                                            ::testing::Values(Masking::forward,
                                                              Masking::backward)));

TEST_P(Noise, OfAUnitFallsWithItsHolders) {
  constexpr std::int64_t kWorkers = 4, kDrawn = 3, kRuns = 250, kRows = 3;
  const Quadratic problem(kFour, kSamples);
  const auto [holders, masking] = GetParam();
  StrategySpec strategy = testing::subnetwork({holders, kWorkers});
  strategy.subnetwork->scaling = Scaling::none;
  strategy.subnetwork->masking = masking;
  const Plan plan = problem.plan(strategy, kWorkers, kDrawn, Optimizer{.rule = Sgd{}});
  const MatrixXd holding = problem.holding(plan);
  MatrixXd weights;
  std::vector<MatrixXd> gradients;
  for (std::int64_t run = 0; run < kRuns; ++run) {
    const Quadratic::Dealer dealer = [&](std::int64_t, std::int64_t micro_batch) {
      Random random(7, static_cast<std::uint64_t>(run * kWorkers + micro_batch));
      std::vector<std::int64_t> samples(kDrawn);
      for (std::int64_t& sample : samples)
        sample = static_cast<std::int64_t>(random.below(kSamples));
      return samples;
    };
    const exec::FirstStep first = *problem.train(plan, dealer, 1).first_step;
    weights = problem.matrix(first.weights);
    gradients.push_back(problem.matrix(first.gradients));
  }
  const Moments expected =
      moments_of_the_mean(problem, weights, holding, seen_by(masking, holding), kDrawn);
  VectorXd variance = VectorXd::Zero(weights.rows());
  for (const MatrixXd& gradient : gradients)
    variance += (gradient - expected.mean).rowwise().squaredNorm() / kRuns;
  for (std::int64_t row = 0; row < weights.rows(); row += kRows) {
    EXPECT_NEAR(variance.segment(row, kRows).sum() / expected.variance.segment(row, kRows).sum(), 1,
                0.2)
        << "unit of row " << row;
  }
}

}  // namespace
}  // namespace rehearse
