#include "model/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace rehearse {
namespace {

// Known answers of Random123's kat_vectors for philox4x32 with 10 rounds.
TEST(Philox, MatchesThePublishedVectors) {
  using Block = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, StreamsOfOneSeedDiffer) {
  Random a(1, 0), again(1, 0), b(1, 1);
  const auto first = a.bits();
  EXPECT_EQ(first, again.bits());
  EXPECT_NE(first, b.bits());
}

TEST(Random, UniformAndNormalHaveTheirMoments) {
  // 100000 draws: the mean's deviation is sqrt(1/12/1e5) = 0.0009 and sqrt(1/1e5) = 0.0032; five
  // deviations are allowed, and the seed is fixed.
  Random random(7);
  double uniform = 0, normal = 0, square = 0;
  const int draws = 100000;
  for (int i = 0; i < draws; ++i) {
    const double u = random.uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    uniform += u;
    const double n = random.normal();
    normal += n;
    square += n * n;
  }
  EXPECT_NEAR(uniform / draws, 0.5, 0.005);
  EXPECT_NEAR(normal / draws, 0.0, 0.016);
  // The variance of a squared normal is 2: five deviations are 5 sqrt(2/1e5) = 0.022.
  EXPECT_NEAR(square / draws, 1.0, 0.022);
}

TEST(Random, ShuffleKeepsEveryElement) {
  std::vector<int> order(100);
  std::iota(order.begin(), order.end(), 0);
  Random(3).shuffle(std::span(order));
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(Random, BelowStaysBelowAndReachesAll) {
  Random random(11);
  std::vector<int> seen(5);
  for (int i = 0; i < 1000; ++i)
    ++seen.at(random.below(5));
  // Each expects 200 with a deviation of sqrt(160) = 12.6.
  for (const int count : seen)
    EXPECT_NEAR(count, 200, 64);
}

}  // namespace
}  // namespace rehearse
