#include "exec/data/sample_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace rehearse::exec {
namespace {

using Numbers = std::vector<std::int64_t>;

// The samples of steps [0, steps), in order.
Numbers walk(SampleOrder order, const BatchSize& size, std::int64_t steps) {
  Numbers walked;
  for (std::int64_t step = 0; step < steps; ++step) {
    for (std::int64_t m = 0; m < size.batch / size.micro_batch; ++m) {
      const Numbers part = order.micro_batch(step, m);
      walked.insert(walked.end(), part.begin(), part.end());
    }
  }
  return walked;
}

Numbers walk(std::uint64_t seed, std::int64_t samples, const BatchSize& size, std::int64_t steps) {
  return walk(SampleOrder(seed, samples, size), size, steps);
}

Numbers part(const Numbers& all, std::ptrdiff_t begin, std::ptrdiff_t length) {
  return {all.begin() + begin, all.begin() + begin + length};
}

// 50 samples in batches of 12: 25 steps are 6 epochs, whose ends lie within batches and within
// micro-batches.
TEST(SampleOrder, EachEpochHasEachSampleOnce) {
  const Numbers walked = walk(1, 50, {12, 4}, 25);
  Numbers everything(50);
  std::iota(everything.begin(), everything.end(), 0);
  for (std::ptrdiff_t epoch = 0; epoch < 6; ++epoch) {
    EXPECT_THAT(part(walked, 50 * epoch, 50), testing::UnorderedElementsAreArray(everything));
  }
}

TEST(SampleOrder, EpochsAndSeedsHaveOrdersOfTheirOwn) {
  const Numbers one = walk(1, 50, {50, 50}, 2), two = walk(2, 50, {50, 50}, 2);
  EXPECT_NE(part(one, 0, 50), part(one, 50, 50));
  EXPECT_NE(one, two);
  EXPECT_FALSE(std::is_sorted(one.begin(), one.begin() + 50));
}

TEST(SampleOrder, AStepsSamplesDoNotDependOnHowItIsCut) {
  const Numbers whole = walk(3, 50, {12, 12}, 25);
  for (const std::int64_t micro_batch : {1, 2, 3, 4, 6}) {
    EXPECT_EQ(walk(3, 50, {12, micro_batch}, 25), whole);
  }
}

// A rank asks only for its own micro-batches, in whatever order.
TEST(SampleOrder, AnyMicroBatchCanBeAskedForAtAnyTime) {
  const BatchSize size{12, 4};
  const Numbers walked = walk(4, 50, size, 25);
  SampleOrder order(4, 50, size);
  for (std::int64_t step = 24; step >= 0; step -= 3) {
    EXPECT_EQ(order.micro_batch(step, 1), part(walked, 12 * step + 4, 4));
  }
}

TEST(SampleOrder, BatchesMayBeLargerThanTheSet) {
  const Numbers walked = walk(5, 3, {8, 4}, 3);
  for (std::ptrdiff_t epoch = 0; epoch < 8; ++epoch) {
    EXPECT_THAT(part(walked, 3 * epoch, 3), testing::UnorderedElementsAre(0, 1, 2));
  }
}

// Over many seeds each sample comes first equally often: 6000 draws of 6 give 1000 +- 5 sigma,
// where sigma^2 = 6000 * 1/6 * 5/6 = 833, sigma = 28.9.
TEST(SampleOrder, EverySampleComesFirstEquallyOften) {
  std::vector<int> first(6);
  for (std::uint64_t seed = 0; seed < 6000; ++seed) {
    ++first[static_cast<std::size_t>(SampleOrder(seed, 6, {1, 1}).micro_batch(0, 0)[0])];
  }
  for (const int count : first)
    EXPECT_NEAR(count, 1000, 5 * 28.9);
}

TEST(SampleOrderDeathTest, AMicroBatchMustDivideTheBatch) {
  EXPECT_DEATH(SampleOrder(1, 50, {12, 5}), "a batch of 12 samples in micro-batches of 5");
}

}  // namespace
}  // namespace rehearse::exec
