// The elementwise work of every backend on flat buffers.
#include "exec/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

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

TEST_P(EveryBackend, AddsDividesAndClears) {
  const Tensor sum = tensor({1, 2, 3}), term = tensor({5, 6, 7});
  backend->add(sum.data(), term.data(), 3);
  EXPECT_THAT(load(sum), ElementsAre(6, 8, 10));
  backend->divide(sum.data(), 3, 4);
  EXPECT_THAT(load(sum), ElementsAre(1.5, 2, 2.5));
  backend->fill_zero(sum.data(), 2);
  EXPECT_THAT(load(sum), ElementsAre(0, 0, 2.5));
}

// w = 2, g = 1, lr = 1/4: w - lr g = 1.75; with decay 1/2, g + w/2 = 2 and w = 1.5.
TEST_P(EveryBackend, StepsWithoutMomentum) {
  const Tensor gradient = tensor({1});
  const Tensor plain = tensor({2}), decayed = tensor({2});
  const Sgd sgd{.lr = 0.25, .momentum = 0, .weight_decay = 0.5};
  backend->step(sgd, plain.data(), gradient.data(), nullptr, 1, false);
  backend->step(sgd, decayed.data(), gradient.data(), nullptr, 1, true);
  EXPECT_THAT(load(plain), ElementsAre(1.75));
  EXPECT_THAT(load(decayed), ElementsAre(1.5));
}

// v = 4/2 + 1 + 2/2 = 4, then w = 2 - 4/4 = 1.
TEST_P(EveryBackend, StepsWithMomentum) {
  const Tensor weights = tensor({2}), gradient = tensor({1}), momentum = tensor({4});
  backend->step({.lr = 0.25, .momentum = 0.5, .weight_decay = 0.5}, weights.data(), gradient.data(),
                momentum.data(), 1, true);
  EXPECT_THAT(load(momentum), ElementsAre(4));
  EXPECT_THAT(load(weights), ElementsAre(1));
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
