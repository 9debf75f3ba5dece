#include "model/plan/optimizer.h"

#include <gtest/gtest.h>

#include "model/plan/training.h"

namespace rehearse {
namespace {

TEST(LearningRate, WarmsUpAndDecays) {
  Optimizer optimizer;
  optimizer.lr = 2;
  const auto rate = [&](std::int64_t step) { return learning_rate(optimizer, step, 12); };
  EXPECT_EQ(rate(0), 2);
  EXPECT_EQ(rate(100), 2);
  // The third decay runs over the 8 steps after 4 of warm-up.
  optimizer.schedule.warmup = 4;
  optimizer.schedule.last = 0.25;
  for (const RateDecay decay : rate_decays()) {
    optimizer.schedule.decay = decay;
    EXPECT_EQ(rate(0), 0.5) << to_string(decay);
    EXPECT_EQ(rate(3), 2) << to_string(decay);
    EXPECT_EQ(rate(4), 2) << to_string(decay);
  }
  optimizer.schedule.decay = RateDecay::linear;
  EXPECT_DOUBLE_EQ(rate(8), 2 * (1 - 0.75 / 2));
  EXPECT_DOUBLE_EQ(rate(12), 0.5);
  EXPECT_DOUBLE_EQ(rate(50), 0.5);
  optimizer.schedule.decay = RateDecay::cosine;
  EXPECT_DOUBLE_EQ(rate(8), 2 * (1 + 0.25) / 2);
  EXPECT_DOUBLE_EQ(rate(12), 0.5);
  optimizer.schedule = {.warmup = 1, .decay = RateDecay::step, .every = 5, .factor = 0.1};
  EXPECT_DOUBLE_EQ(rate(5), 2);
  EXPECT_DOUBLE_EQ(rate(6), 0.2);
  EXPECT_DOUBLE_EQ(rate(11), 0.02);
}

// Bytes per parameter of mixed precision: 2 + 2 + (4 master + moments), 16 with Adam (Rajbhandari
// et al., arXiv 1910.02054, section 3.1).
TEST(StateSizes, CountMomentsAndMasters) {
  const auto bytes = [](std::variant<Sgd, Adam> rule, DataType type) {
    Training training;
    training.optimizer.rule = rule;
    training.dtype = type;
    const StateSizes sizes = state_sizes(training);
    return sizes.parameter + sizes.gradient + sizes.optimizer;
  };
  EXPECT_EQ(bytes(Adam{}, DataType::bf16), 16);
  EXPECT_EQ(bytes(Adam{}, DataType::fp32), 16);
  EXPECT_EQ(bytes(Adam{}, DataType::fp64), 32);
  EXPECT_EQ(bytes(Sgd{0.9}, DataType::fp32), 12);
  EXPECT_EQ(bytes(Sgd{}, DataType::fp32), 8);
  EXPECT_EQ(bytes(Sgd{}, DataType::bf16), 8);
}

}  // namespace
}  // namespace rehearse
