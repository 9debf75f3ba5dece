#include "tests/exec/oracles/quadratic.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "exec/backend.h"
#include "model/base/check.h"
#include "model/base/random.h"
#include "model/net/net_builder.h"
#include "model/plan/verify.h"
#include "model/schedule/build_plan.h"

namespace rehearse::testing {
namespace {

constexpr std::int64_t kSide = 2, kPixels = kSide * kSide, kChannels = 3, kClasses = 2;

// ---- the features, as layers and as formulas ---------------------------------------------------

ValueId mirror(NetBuilder& net, ValueId x) {
  return net.add("mirror", Sum{-1}, {x});
}
ValueId first_pixel(NetBuilder& net, ValueId image) {
  return net.add("first", FirstRow{}, {net.add("pixels", Patches{1}, {image})});
}
ValueId largest(NetBuilder& net, ValueId image) {
  return net.add("one", GlobalAveragePool{},
                 {net.add("largest", MaxPool{kSide, kSide, 0}, {image})});
}
ValueId mean(NetBuilder& net, ValueId image) {
  return net.add("mean", GlobalAveragePool{}, {image});
}
ValueId square(NetBuilder& net, ValueId x) {
  return net.add("square", SwiGlu{}, {x, x});
}

ValueId add_feature(NetBuilder& net, Feature feature, ValueId image) {
  switch (feature) {
    case Feature::largest:
      return largest(net, image);
    case Feature::smallest:
      return largest(net, mirror(net, image));
    case Feature::first:
      return first_pixel(net, image);
    case Feature::first_square:
      return square(net, first_pixel(net, image));
    case Feature::first_mirrored:
      return square(net, mirror(net, first_pixel(net, image)));
    case Feature::mean_square:
      return mean(net, square(net, image));
    case Feature::mean_mirrored:
      return mean(net, square(net, mirror(net, image)));
  }
  REHEARSE_UNREACHABLE("feature");
}

Eigen::ArrayXd swish_square(const Eigen::ArrayXd& x) {
  return x * x / (1 + (-x).exp());
}

double value_of(Feature feature, const Eigen::ArrayXd& pixels) {
  switch (feature) {
    case Feature::largest:
      return pixels.maxCoeff();
    case Feature::smallest:
      return -pixels.minCoeff();
    case Feature::first:
      return pixels(0);
    case Feature::first_square:
      return swish_square(pixels)(0);
    case Feature::first_mirrored:
      return swish_square(-pixels)(0);
    case Feature::mean_square:
      return swish_square(pixels).mean();
    case Feature::mean_mirrored:
      return swish_square(-pixels).mean();
  }
  REHEARSE_UNREACHABLE("feature");
}

Net build(const std::vector<Feature>& units) {
  NetBuilder net("quadratic", {{kSide, kSide, kChannels}}, ValueType::real, {{1}});
  const Linear linear{kChannels, kClasses, false};
  net.begin_block("all");
  net.begin_segment("all");
  std::vector<ValueId> terms = {net.add("shared", linear, {mean(net, net.input())})};
  for (const Feature unit : units) {
    net.begin_unit("linear");
    terms.push_back(net.add("linear", linear, {add_feature(net, unit, net.input())}));
    net.end_unit();
  }
  const ValueId logits = net.add("sum", Sum{1}, terms);
  return net.finish(net.add("loss", SquaredError{kClasses}, {logits, net.labels()}));
}

// ---- batches -----------------------------------------------------------------------------------

class DealtBatches : public exec::BatchSource {
 public:
  DealtBatches(const Quadratic::Dealer& dealer, const Eigen::MatrixXd& inputs,
               const Eigen::MatrixXd& targets)
      : dealer_(dealer), inputs_(inputs), targets_(targets) {}

  void load_input(std::int64_t step, std::int64_t micro_batch, void* into) override {
    auto* values = static_cast<double*>(into);
    for (const std::int64_t sample : dealer_(step, micro_batch)) {
      for (std::int64_t i = 0; i < inputs_.cols(); ++i)
        *values++ = inputs_(sample, i);
    }
  }
  void load_labels(std::int64_t step, std::int64_t micro_batch, void* into) override {
    auto* labels = static_cast<std::int32_t*>(into);
    for (const std::int64_t sample : dealer_(step, micro_batch)) {
      Eigen::Index label = 0;
      targets_.row(sample).maxCoeff(&label);
      *labels++ = static_cast<std::int32_t>(label);
    }
  }

 private:
  const Quadratic::Dealer& dealer_;
  const Eigen::MatrixXd &inputs_, &targets_;
};

}  // namespace

Quadratic::Quadratic(const std::vector<Feature>& units, std::int64_t samples)
    : net_(build(units)),
      inputs_(samples, kPixels * kChannels),
      features_(samples, kChannels * (1 + std::ssize(units))),
      targets_(Eigen::MatrixXd::Zero(samples, kClasses)) {
  Random random(5);
  for (std::int64_t s = 0; s < samples; ++s) {
    for (double& x : inputs_.row(s))
      x = random.normal();
    targets_(s, static_cast<std::int64_t>(random.below(kClasses))) = 1;
    for (std::int64_t c = 0; c < kChannels; ++c) {
      Eigen::ArrayXd pixels(kPixels);
      for (std::int64_t p = 0; p < kPixels; ++p)
        pixels(p) = inputs_(s, p * kChannels + c);
      features_(s, c) = pixels.mean();
      for (std::int64_t u = 0; u < std::ssize(units); ++u)
        features_(s, (1 + u) * kChannels + c) =
            value_of(units[static_cast<std::size_t>(u)], pixels);
    }
  }
}

Eigen::MatrixXd Quadratic::hessian() const {
  return features_.transpose() * features_ / static_cast<double>(samples());
}

Eigen::MatrixXd Quadratic::linear() const {
  return features_.transpose() * targets_ / static_cast<double>(samples());
}

Eigen::MatrixXd Quadratic::gradient(const Eigen::MatrixXd& weights, const Eigen::VectorXd& held,
                                    const std::vector<std::int64_t>& samples) const {
  Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(weights.rows(), weights.cols());
  for (const std::int64_t s : samples) {
    const Eigen::VectorXd phi = features_.row(s).transpose().cwiseProduct(held);
    sum += phi * (phi.transpose() * weights - targets_.row(s));
  }
  return sum / static_cast<double>(samples.size());
}

Plan Quadratic::plan(const StrategySpec& strategy, std::int64_t workers, std::int64_t samples,
                     const Optimizer& optimizer, std::uint64_t seed) const {
  Training training;
  training.data = "synthetic";
  training.batch = workers * samples;
  training.optimizer = optimizer;
  training.dtype = DataType::fp64;
  training.seed = seed;
  const Result<Plan> plan = build_plan(strategy, net_, training, workers, even_costs(1));
  EXPECT_TRUE(plan.ok()) << format(plan.errors());
  const Status good = verify(*plan, net_);
  EXPECT_TRUE(good.ok()) << format(good.errors());
  return *plan;
}

exec::TrainingRun Quadratic::train(const Plan& plan, const Dealer& dealer, std::int64_t steps,
                                   std::int64_t align_every) const {
  return train([&] { return std::make_unique<exec::SinglePlan>(plan); }, plan.ranks.size(), dealer,
               steps, align_every);
}

exec::TrainingRun Quadratic::train(const std::function<std::unique_ptr<exec::PlanSource>()>& plans,
                                   std::size_t workers, const Dealer& dealer, std::int64_t steps,
                                   std::int64_t align_every) const {
  exec::TrainingRun result;
  exec::run_local(workers, [&](exec::Transport& transport) {
    const auto backend = exec::make_backend("reference", DataType::fp64, {});
    const auto own_plans = plans();
    exec::TrainOptions options;
    options.steps = steps;
    options.align_every = align_every;
    options.keep_first_step = options.keep_weights = true;
    options.executor.poison = true;
    DealtBatches batches(dealer, inputs_, targets_);
    exec::TrainingRun run =
        exec::train(*own_plans, net_, *backend, transport, batches, nullptr, options);
    if (transport.rank() == RankId(0)) result = std::move(run);
  });
  return result;
}

Quadratic::Dealer Quadratic::all_samples(const Plan& plan) const {
  const std::int64_t parts = plan.programs.front().micro_batches, part = samples() / parts;
  return [=](std::int64_t, std::int64_t micro_batch) {
    std::vector<std::int64_t> samples(static_cast<std::size_t>(part));
    std::iota(samples.begin(), samples.end(), micro_batch % parts * part);
    return samples;
  };
}

// Parameters are [classes, channels] each, the shared one first.
Eigen::MatrixXd Quadratic::matrix(const exec::Weights& weights) const {
  Eigen::MatrixXd rows(features_.cols(), kClasses);
  for (std::size_t p = 0; p < weights.size(); ++p) {
    Eigen::Matrix<double, kClasses, kChannels, Eigen::RowMajor> block;
    REHEARSE_CHECK(weights[p].size() == sizeof(double) * kClasses * kChannels, "parameter {}", p);
    std::memcpy(block.data(), weights[p].data(), weights[p].size());
    rows.middleRows(static_cast<std::int64_t>(p) * kChannels, kChannels) = block.transpose();
  }
  return rows;
}

Eigen::MatrixXd Quadratic::holding(const Plan& plan) const {
  Eigen::MatrixXd rows =
      Eigen::MatrixXd::Ones(static_cast<std::int64_t>(plan.ranks.size()), features_.cols());
  for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
    const auto& holds = program_of(plan, RankId(rank)).subnetwork.holds;
    for (std::size_t unit = 0; unit < holds.size(); ++unit) {
      if (holds[unit]) continue;
      rows.block(static_cast<std::int64_t>(rank), static_cast<std::int64_t>(1 + unit) * kChannels,
                 1, kChannels)
          .setZero();
    }
  }
  return rows;
}

}  // namespace rehearse::testing
