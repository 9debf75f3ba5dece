// Training runs of small plans on local ranks, for tests.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "exec/run/train.h"
#include "model/base/bfloat16.h"
#include "model/base/random.h"
#include "model/plan/verify.h"
#include "tests/exec/run/turning_plans.h"
#include "tests/schedule/plans.h"

namespace rehearse::testing {

// Samples drawn from the micro-batch's number and the step. Images: class k's pixels are brighter
// at every tenth place from k on. Tokens: the label of a token is its successor. Both can be
// learnt.
template <class Real>
class Batches : public exec::BatchSource, public exec::EvaluationSource {
 public:
  Batches(const Net& net, std::int64_t samples)
      : elements_(net.values[net.input.index()].shape.elements()),
        labels_(labels_per_sample(net)),
        tokens_(net.values[net.input.index()].type == ValueType::index),
        classes_(classes_of(net)),
        samples_(samples) {}

  void load_input(std::int64_t step, std::int64_t micro_batch, void* into) override {
    inputs(number(step, micro_batch), samples_, into);
  }
  void load_labels(std::int64_t step, std::int64_t micro_batch, void* into) override {
    labels(number(step, micro_batch), samples_, into);
  }
  std::int64_t test_samples() const override { return 130; }
  void load_training_input(std::int64_t first, std::int64_t count, void* into) override {
    inputs(first, count, into);
  }
  void load_test_input(std::int64_t first, std::int64_t count, void* into) override {
    inputs(kTest + first, count, into);
  }
  void load_test_labels(std::int64_t first, std::int64_t count, void* into) override {
    labels(kTest + first, count, into);
  }

 private:
  static constexpr std::int64_t kTest = 1'000'000;

  static std::int64_t classes_of(const Net& net) {
    for (const Layer& layer : net.layers) {
      if (const auto classes = classes_of_loss(layer.spec)) return *classes;
    }
    return 1;
  }
  std::int64_t number(std::int64_t step, std::int64_t micro_batch) const {
    return (step * 64 + micro_batch) * samples_;
  }
  std::int32_t draw(std::int64_t sample, std::int64_t place) const {
    return static_cast<std::int32_t>(
        Random(3, static_cast<std::uint64_t>(sample * elements_ + place))
            .below(static_cast<std::uint64_t>(classes_)));
  }
  void inputs(std::int64_t first, std::int64_t count, void* into) const {
    for (std::int64_t s = 0; s < count; ++s) {
      if (tokens_) {
        auto* values = static_cast<std::int32_t*>(into) + s * elements_;
        for (std::int64_t t = 0; t < elements_; ++t)
          values[t] = draw(first + s, t);
      } else {
        paint(first + s, static_cast<Real*>(into) + s * elements_);
      }
    }
  }
  void paint(std::int64_t sample, Real* into) const {
    Random random(4, static_cast<std::uint64_t>(sample));
    const std::int64_t k = draw(sample, 0);
    for (std::int64_t p = 0; p < elements_; ++p)
      into[p] = static_cast<Real>(0.3 * random.normal() + (p % 10 == k ? 1 : 0));
  }
  void labels(std::int64_t first, std::int64_t count, void* into) const {
    auto* values = static_cast<std::int32_t*>(into);
    for (std::int64_t s = 0; s < count; ++s) {
      for (std::int64_t l = 0; l < labels_; ++l) {
        const std::int32_t k = draw(first + s, l);
        values[s * labels_ + l] = tokens_ ? static_cast<std::int32_t>((k + 1) % classes_) : k;
      }
    }
  }

  std::int64_t elements_, labels_;
  bool tokens_;
  std::int64_t classes_, samples_;
};

// What tests look at.
inline exec::TrainOptions options_of(std::int64_t steps) {
  exec::TrainOptions options;
  options.steps = steps;
  options.keep_first_step = options.keep_weights = options.hash_weights = true;
  options.executor.poison = true;
  return options;
}

// Trains on threads of this process, each with batches of its own; rank 0's result. The plans take
// turns of so many steps.
template <class Source>
exec::TrainingRun train_in_turns(const Source& source, const std::vector<Plan>& plans,
                                 std::int64_t every, const exec::TrainOptions& options,
                                 std::string_view backend_name = "reference", int threads = 1,
                                 Moments moments = Moments::keep) {
  const Plan& first = plans.front();
  const Net net = *whole_net(first);
  exec::TrainingRun result;
  exec::run_local(first.ranks.size(), [&](exec::Transport& transport) {
    const auto backend =
        exec::make_backend(backend_name, first.training.dtype, {threads, first.training.reduction});
    Source batches = source;
    TurningPlans turns(plans, every, moments);
    exec::TrainingRun run =
        exec::train(turns, net, *backend, transport, batches, &batches, options);
    if (transport.rank() == RankId(0)) result = std::move(run);
  });
  return result;
}

template <class Source>
exec::TrainingRun train_on(const Source& source, const Plan& plan,
                           const exec::TrainOptions& options,
                           std::string_view backend_name = "reference", int threads = 1) {
  return train_in_turns(source, {plan}, 1, options, backend_name, threads);
}

inline exec::TrainingRun train_locally(const Plan& plan, const exec::TrainOptions& options,
                                       std::string_view backend_name = "reference",
                                       int threads = 1) {
  const Net net = *whole_net(plan);
  const std::int64_t samples = plan.micro_batch_samples;
  switch (plan.training.dtype) {
    case DataType::bf16:
      return train_on(Batches<BFloat16>(net, samples), plan, options, backend_name, threads);
    case DataType::fp32:
      return train_on(Batches<float>(net, samples), plan, options, backend_name, threads);
    case DataType::fp64:
      return train_on(Batches<double>(net, samples), plan, options, backend_name, threads);
    case DataType::fp16:
    case DataType::fp8:
    case DataType::tf32:
      break;
  }
  ADD_FAILURE() << "no backend of CPUs computes in fp16, fp8 or tf32";
  return {};
}

inline exec::TrainingRun train_locally(const Plan& plan, std::int64_t steps,
                                       std::int64_t evaluate_every = 0,
                                       Seconds hang = Seconds::seconds(300),
                                       std::string_view backend_name = "reference",
                                       int threads = 1) {
  exec::TrainOptions options = options_of(steps);
  options.evaluate_every = evaluate_every;
  options.executor.hang = hang;
  return train_locally(plan, options, backend_name, threads);
}

inline ModelSpec small_resnet() {
  return {"resnet20", {{"image", {8, 8, 1}}, {"classes", {10}}}};
}

inline ModelSpec narrow_gpt(bool tied = false) {
  return {"gpt",
          {{"layers", {4}},
           {"width", {16}},
           {"heads", {2}},
           {"vocabulary", {20}},
           {"sequence", {6}},
           {"positions", {6}},
           {"tied", {tied ? 1 : 0}}}};
}

// The same model with dropout of 0.3.
inline ModelSpec with_dropout(ModelSpec model) {
  model.fields["dropout"] = {300'000};
  return model;
}

// A plan of a small network, checked.
inline Plan executable(const StrategySpec& strategy, std::int64_t devices, const ModelSpec& model,
                       const Training& training) {
  const Net net = *build_net(model);
  const auto plan = build_plan(strategy, model, training, devices, even_costs(net.blocks.size()));
  EXPECT_TRUE(plan.ok()) << format(plan.errors());
  const Status good = verify(*plan);
  EXPECT_TRUE(good.ok()) << format(good.errors());
  return *plan;
}

// 16 samples per step, in double (exact reductions: in single, where rounding shows).
inline Plan executable(const StrategySpec& strategy, std::int64_t devices,
                       const ModelSpec& model = small_resnet(),
                       const Optimizer& optimizer = testing::training(16).optimizer,
                       Reduction reduction = Reduction::fast) {
  Training training = testing::training(16);
  training.dtype = reduction == Reduction::exact ? DataType::fp32 : DataType::fp64;
  training.reduction = reduction;
  training.optimizer = optimizer;
  return executable(strategy, devices, model, training);
}

inline StrategySpec with_bucket(StrategySpec strategy, Bytes bucket) {
  strategy.bucket = bucket;
  return strategy;
}

// Largest difference of two models' weights, relative to the largest weight.
inline double difference(const exec::Weights& a, const exec::Weights& b) {
  double largest = 0, apart = 0;
  for (std::size_t p = 0; p < a.size(); ++p) {
    EXPECT_EQ(a[p].size(), b[p].size());
    for (std::size_t at = 0; at < a[p].size(); at += sizeof(double)) {
      double x = 0, y = 0;
      std::memcpy(&x, a[p].data() + at, sizeof x);
      std::memcpy(&y, b[p].data() + at, sizeof y);
      largest = std::max(largest, std::abs(x));
      apart = std::max(apart, std::abs(x - y));
      EXPECT_TRUE(std::isfinite(x)) << "parameter " << p;
    }
  }
  return apart / largest;
}

}  // namespace rehearse::testing
