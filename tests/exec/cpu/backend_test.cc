// The elementwise work of every backend on flat buffers.
#include "exec/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/exec/cpu/layer_runner.h"

namespace rehearse::exec {
namespace {

using testing::ElementsAre;

class EveryBackend : public testing::TestWithParam<std::string_view> {
 protected:
  Tensor tensor(const std::vector<double>& values) { return {*backend, values}; }
  std::vector<double> load(const Tensor& tensor) { return tensor.load(*backend); }
  std::unique_ptr<Backend> backend = make_backend(GetParam());
};

TEST_P(EveryBackend, HasItsName) {
  EXPECT_EQ(backend->name(), GetParam());
}

TEST_P(EveryBackend, AddsAndDivides) {
  const Tensor sum = tensor({1, 2, 3}), term = tensor({5, 6, 7});
  backend->add(sum.data(), term.data(), 3);
  EXPECT_THAT(load(sum), ElementsAre(6, 8, 10));
  backend->divide(sum.data(), 3, 4);
  EXPECT_THAT(load(sum), ElementsAre(1.5, 2, 2.5));
}

TEST_P(EveryBackend, ScalesChannels) {
  const Tensor x = tensor({1, 2, 3, 4}), y = tensor({0, 0, 0, 0});
  backend->scale_channels(y.data(), x.data(), {2, 0.5}, {1, -1}, 2);
  EXPECT_THAT(load(y), ElementsAre(3, 0, 7, 1));
}

Optimizer optimizer(std::variant<Sgd, Adam> rule, double weight_decay) {
  Optimizer optimizer;
  optimizer.rule = rule;
  optimizer.weight_decay = weight_decay;
  return optimizer;
}

// w = 2, g = 1, lr = 1/4: w - lr g = 1.75; with decay 1/2, g + w/2 = 2 and w = 1.5.
TEST_P(EveryBackend, StepsWithoutMomentum) {
  const Tensor gradient = tensor({1});
  const Tensor plain = tensor({2}), decayed = tensor({2});
  const Optimizer sgd = optimizer(Sgd{}, 0.5);
  backend->step({sgd, 0.25, 0, false}, plain.data(), gradient.data(), {}, 1);
  backend->step({sgd, 0.25, 0, true}, decayed.data(), gradient.data(), {}, 1);
  EXPECT_THAT(load(plain), ElementsAre(1.75));
  EXPECT_THAT(load(decayed), ElementsAre(1.5));
}

// Gradients of 4 times a quarter are those of 1; the decay is not scaled.
TEST_P(EveryBackend, ScalesGradientsAlone) {
  const Tensor gradient = tensor({4}), weights = tensor({2});
  const Optimizer sgd = optimizer(Sgd{}, 0.5);
  backend->step({sgd, 0.25, 0, true, 0.25}, weights.data(), gradient.data(), {}, 1);
  EXPECT_THAT(load(weights), ElementsAre(1.5));
}

// 0^2 + 1^2 + ... + (n - 1)^2 = (n - 1) n (2 n - 1) / 6, which doubles hold and floats do not.
TEST_P(EveryBackend, SumsSquaresInDouble) {
  constexpr std::int64_t kCount = 10001;
  std::vector<double> numbers(kCount);
  std::iota(numbers.begin(), numbers.end(), 0.0);
  EXPECT_EQ(backend->sum_of_squares(tensor(numbers).data(), kCount),
            static_cast<double>((kCount - 1) * kCount * (2 * kCount - 1) / 6));
}

// v = 4/2 + 1 + 2/2 = 4, then w = 2 - 4/4 = 1.
TEST_P(EveryBackend, StepsWithMomentum) {
  const Tensor weights = tensor({2}), gradient = tensor({1}), momentum = tensor({4});
  const Optimizer sgd = optimizer(Sgd{0.5}, 0.5);
  backend->step({sgd, 0.25, 0, true}, weights.data(), gradient.data(), {momentum.data(), nullptr},
                1);
  EXPECT_THAT(load(momentum), ElementsAre(4));
  EXPECT_THAT(load(weights), ElementsAre(1));
}

// beta1 = 1/2, beta2 = 3/4, second step (t = 2): m = 2/2 + 6/2 = 4, corrected 4 / (3/4) = 16/3;
// v = 3 (3/4) + 36/4 = 11.25, corrected 11.25 / (7/16) = 180/7. lr = 1/4, no epsilon:
// w = 2 - (1/4) (16/3) / sqrt(180/7).
TEST_P(EveryBackend, StepsAdam) {
  const Adam rule{.beta1 = 0.5, .beta2 = 0.75, .epsilon = 0, .decoupled = false};
  const Optimizer adam = optimizer(rule, 0);
  const Tensor weights = tensor({2}), gradient = tensor({6}), m = tensor({2}), v = tensor({3});
  backend->step({adam, 0.25, 1, true}, weights.data(), gradient.data(), {m.data(), v.data()}, 1);
  EXPECT_THAT(load(m), ElementsAre(4));
  EXPECT_THAT(load(v), ElementsAre(11.25));
  EXPECT_NEAR(load(weights)[0], 2 - 4.0 / 3 / std::sqrt(180.0 / 7), 1e-6);
}

// The first step of Adam is lr sign(g) (epsilon aside), whatever the betas. Decay of 1/2 turns g
// into -1 + 2/2 = 0, or, decoupled, w into 2 (1 - 1/4 1/2) = 1.75 first.
TEST_P(EveryBackend, DecaysAdamByTheGradientOrApart) {
  for (const bool decoupled : {false, true}) {
    const Optimizer adam =
        optimizer(Adam{.beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .decoupled = decoupled}, 0.5);
    const Tensor plain = tensor({2}), decayed = tensor({2}), gradient = tensor({-1});
    const Tensor m = tensor({0}), v = tensor({0}), p = tensor({0}), q = tensor({0});
    backend->step({adam, 0.25, 0, false}, plain.data(), gradient.data(), {m.data(), v.data()}, 1);
    backend->step({adam, 0.25, 0, true}, decayed.data(), gradient.data(), {p.data(), q.data()}, 1);
    EXPECT_NEAR(load(plain)[0], 2.25, 1e-6);
    EXPECT_NEAR(load(decayed)[0], 2, 1e-6);  // 1.75 + 1/4, or 2 + 0
    EXPECT_NEAR(load(p)[0], decoupled ? -0.1 : 0, 1e-6);
  }
}

// anchor 5, weights 2: d = 3. v = 4/2 + 3 = 5; anchor = 5 - 1/4 (3 + 5/2) = 3.625, the weights,
// too.
TEST_P(EveryBackend, MovesWeightsByAnOuterOptimizer) {
  const Tensor weights = tensor({2}), gradient = tensor({7}), anchor = tensor({5});
  const Tensor velocity = tensor({4});
  const OuterPiece piece{weights.data(), nullptr, anchor.data(), velocity.data()};
  backend->outer_gradient(piece, gradient.data(), 1);
  EXPECT_THAT(load(gradient), ElementsAre(3));
  EXPECT_THAT(load(weights), ElementsAre(2));
  backend->outer_step(OuterOptimizer{0.25, 0.5}, piece, gradient.data(), 1);
  EXPECT_THAT(load(velocity), ElementsAre(5));
  EXPECT_THAT(load(anchor), ElementsAre(3.625));
  EXPECT_THAT(load(weights), ElementsAre(3.625));
}

// Without momentum 5 - 1/4 3 = 4.25; without an outer optimizer the weights are what is averaged,
// and become the average. Over more elements than threads take at once.
TEST_P(EveryBackend, MovesWeightsByTheirMean) {
  constexpr std::int64_t kCount = 10001;
  const auto all = [&](double value) { return tensor(std::vector<double>(kCount, value)); };
  const Tensor weights = all(2), gradient = all(7), anchor = all(5);
  const OuterPiece anchored{weights.data(), nullptr, anchor.data(), nullptr};
  backend->outer_gradient(anchored, gradient.data(), kCount);
  backend->outer_step(OuterOptimizer{0.25, 0}, anchored, gradient.data(), kCount);
  EXPECT_THAT(load(weights), testing::Each(4.25));
  EXPECT_THAT(load(anchor), testing::Each(4.25));
  const OuterPiece alone{weights.data(), nullptr, nullptr, nullptr};
  backend->outer_gradient(alone, gradient.data(), kCount);
  EXPECT_THAT(load(gradient), testing::Each(4.25));
  const Tensor mean = all(1.5);
  backend->outer_step(std::nullopt, alone, mean.data(), kCount);
  EXPECT_THAT(load(weights), testing::Each(1.5));
}

TEST_P(EveryBackend, AccumulatesAndCopies) {
  const Tensor left = tensor({1, 2}), right = tensor({3, 4}), sum = tensor({0, 0});
  const auto prepare = [&](KernelKind kind) {
    return backend->prepare({.kind = kind,
                             .layer = Relu{},
                             .inputs = {},
                             .output = {},
                             .samples = 1,
                             .elements = 2,
                             .wants_input_gradient = {}});
  };
  KernelArguments a;
  a.left = left.data();
  a.right = right.data();
  a.sum = sum.data();
  prepare(KernelKind::accumulate)->run(a);
  EXPECT_THAT(load(sum), ElementsAre(4, 6));
  prepare(KernelKind::copy)->run(a);
  EXPECT_THAT(load(sum), ElementsAre(1, 2));
  // The sum may lie where a term does.
  a.sum = left.data();
  prepare(KernelKind::accumulate)->run(a);
  EXPECT_THAT(load(left), ElementsAre(4, 6));
}

INSTANTIATE_TEST_SUITE_P(Names, EveryBackend, testing::ValuesIn(backend_names()),
                         [](const auto& info) { return std::string(info.param); });

TEST(BackendNames, AreSorted) {
  EXPECT_TRUE(std::is_sorted(backend_names().begin(), backend_names().end()));
}

}  // namespace
}  // namespace rehearse::exec
