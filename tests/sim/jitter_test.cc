#include "sim/jitter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace rehearse::sim {
namespace {

struct Moments {
  double mean = 0, deviation = 0;
};

template <class Draw>
Moments moments_of(int n, const Draw& draw) {
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const double x = draw(i);
    sum += x;
    squares += x * x;
  }
  const double mean = sum / n;
  return {mean, std::sqrt(squares / n - mean * mean)};
}

// The mean of n draws is normal around 1 with deviation d / sqrt(n). Their variance has the
// deviation d^2 sqrt((kurtosis - 1) / n), and a log-normal number's kurtosis at d = 0.2 is 3.6;
// half of it, relatively, is the deviation's. Five of each are allowed.
TEST(Jitter, HasMeanOneAndTheDeviationAskedFor) {
  constexpr int kDraws = 40'000;
  const double n = kDraws, d = 0.2, kurtosis = 3.7;
  for (const bool by_step : {false, true}) {
    Jitter jitter;
    (by_step ? jitter.step : jitter.op) = d;
    const Moments moments = moments_of(kDraws, [&](int i) {
      return by_step ? stretch(jitter, RankId(3), i, OpId(0))
                     : stretch(jitter, RankId(3), 7, OpId(i));
    });
    EXPECT_NEAR(moments.mean, 1, 5 * d / std::sqrt(n));
    EXPECT_NEAR(moments.deviation, d, 5 * d / 2 * std::sqrt((kurtosis - 1) / n));
  }
}

TEST(Jitter, IsAFunctionOfSeedRankStepAndOp) {
  const Jitter jitter{0.1, 0, 1, 100}, other{0.1, 0, 2, 100};
  const std::set<double> values = {
      stretch(jitter, RankId(0), 0, OpId(0)), stretch(other, RankId(0), 0, OpId(0)),
      stretch(jitter, RankId(1), 0, OpId(0)), stretch(jitter, RankId(0), 1, OpId(0)),
      stretch(jitter, RankId(0), 0, OpId(1))};
  EXPECT_EQ(values.size(), 5U);
  EXPECT_EQ(stretch(jitter, RankId(1), 2, OpId(3)), stretch(jitter, RankId(1), 2, OpId(3)));
}

TEST(Jitter, OpsOfOneStepAreSlowTogether) {
  const Jitter jitter{0, 0.1, 1, 100};
  EXPECT_EQ(stretch(jitter, RankId(1), 2, OpId(3)), stretch(jitter, RankId(1), 2, OpId(4)));
}

}  // namespace
}  // namespace rehearse::sim
