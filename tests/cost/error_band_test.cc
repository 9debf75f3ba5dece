#include "cost/error_band.h"

#include <gtest/gtest.h>

#include <cmath>

#include "model/base/random.h"

namespace rehearse {
namespace {

constexpr PredictionErrors kErrors{0.08, 0.15, 0.04};
const StepShares kComputes = step_shares(Seconds::seconds(0.9), Seconds::seconds(0.1));
const StepShares kTalks = step_shares(Seconds::seconds(0.5), Seconds::seconds(0.5));
constexpr int kDraws = 20'000;

// Measured for predicted times of two steps on one machine that is drawn.
struct Machine {
  Machine(Random& random, const PredictionErrors& errors)
      : computing(std::exp(errors.computing * random.normal())),
        messages(std::exp(errors.messages * random.normal())) {}
  double measured(double predicted, const StepShares& shares, Random& random,
                  const PredictionErrors& errors) const {
    return predicted * (shares.computing * computing + shares.messages * messages) *
           std::exp(errors.strategy * random.normal());
  }
  double computing, messages;
};

TEST(ErrorBand, SharesAddUpToOne) {
  EXPECT_DOUBLE_EQ(kComputes.computing, 0.9);
  EXPECT_DOUBLE_EQ(kComputes.messages, 0.1);
  const StepShares nothing = step_shares(Seconds{}, Seconds{});
  EXPECT_EQ(nothing.computing + nothing.messages, 0);
}

// (0.9 0.08)^2 + (0.1 0.15)^2 + 0.04^2 = 0.005184 + 0.000225 + 0.0016 = 0.007009
TEST(ErrorBand, OfOnePrediction) {
  const double sigma = std::sqrt(0.007009);
  EXPECT_NEAR(log_deviation(kComputes, kErrors), sigma, 1e-12);
  const TimeBand band = time_band(Seconds::seconds(2), kComputes, kErrors);
  EXPECT_NEAR(band.low.seconds(), 2 * std::exp(-1.6448536 * sigma), 1e-7);
  EXPECT_NEAR(band.high.seconds(), 2 * std::exp(1.6448536 * sigma), 1e-7);
  EXPECT_TRUE(band.contains(Seconds::seconds(2)));
  EXPECT_FALSE(band.contains(Seconds::seconds(2.4)));
}

// (0.4 0.08)^2 + (0.4 0.15)^2 + 2 0.04^2 = 0.001024 + 0.0036 + 0.0032 = 0.007824; what is common
// to two of the same shares cancels, and 2 0.04^2 is left.
TEST(ErrorBand, OfTwoPredictions) {
  EXPECT_NEAR(log_ratio_deviation(kComputes, kTalks, kErrors), std::sqrt(0.007824), 1e-12);
  EXPECT_NEAR(log_ratio_deviation(kTalks, kTalks, kErrors), std::sqrt(2) * 0.04, 1e-12);
}

TEST(ErrorBand, TellsApartWhatDiffersByMoreThanItsErrors) {
  const double limit = std::exp(1.6448536 * std::sqrt(2) * 0.04);  // 1.0975
  const auto step = [](double seconds) {
    return PredictedStep{Seconds::seconds(seconds), kComputes};
  };
  EXPECT_FALSE(can_be_told_apart(step(1), step(0.999 * limit), kErrors));
  EXPECT_TRUE(can_be_told_apart(step(1), step(1.001 * limit), kErrors));
  EXPECT_TRUE(can_be_told_apart(step(1.001 * limit), step(1), kErrors));
  EXPECT_TRUE(can_be_told_apart(step(1), step(1.0001), {0.1, 0.1, 0}));
}

TEST(ErrorBand, HoldsNineOfTenDrawnMeasurements) {
  Random random(5);
  for (const StepShares& shares : {kComputes, kTalks}) {
    const TimeBand band = time_band(Seconds::seconds(1), shares, kErrors);
    int inside = 0;
    for (int d = 0; d < kDraws; ++d) {
      const Machine machine(random, kErrors);
      inside += band.contains(Seconds::seconds(machine.measured(1, shares, random, kErrors)));
    }
    EXPECT_NEAR(inside, 0.9 * kDraws, 0.01 * kDraws);
  }
}

// The deviation of the ratio of two measured on one drawn machine.
TEST(ErrorBand, CommonErrorsCancelInDrawnRatios) {
  Random random(6);
  double sum = 0, squares = 0;
  for (int d = 0; d < kDraws; ++d) {
    const Machine machine(random, kErrors);
    const double ratio = std::log(machine.measured(1, kComputes, random, kErrors) /
                                  machine.measured(1, kTalks, random, kErrors));
    sum += ratio;
    squares += ratio * ratio;
  }
  const double mean = sum / kDraws, deviation = std::sqrt(squares / kDraws - mean * mean);
  EXPECT_NEAR(deviation, log_ratio_deviation(kComputes, kTalks, kErrors), 0.03 * deviation);
}

// Of steps that are equally long, errors set apart one in ten.
TEST(ErrorBand, TellsEqualStepsApartInOneCaseOfTen) {
  Random random(7);
  int apart = 0;
  for (int d = 0; d < kDraws; ++d) {
    const Machine machine(random, kErrors);
    const auto measured = [&](const StepShares& shares) {
      return Seconds::seconds(machine.measured(1, shares, random, kErrors));
    };
    apart +=
        can_be_told_apart({measured(kComputes), kComputes}, {measured(kTalks), kTalks}, kErrors);
  }
  EXPECT_NEAR(apart, 0.1 * kDraws, 0.01 * kDraws);
}

TEST(ErrorBand, OfAClusterTheLargestOfEachErrorAndNoneIfOneDeviceHasNone) {
  ClusterSpec spec;
  spec.device.errors = {0.1, 0.2, 0.03};
  EXPECT_EQ(errors_of(spec), (PredictionErrors{0.1, 0.2, 0.03}));
  RankException other;
  other.speed = 0.5;
  spec.ranks.push_back(other);
  EXPECT_TRUE(errors_of(spec).has_value());
  other.device.emplace().errors = {0.2, 0.1, 0.02};
  spec.ranks.push_back(other);
  EXPECT_EQ(errors_of(spec), (PredictionErrors{0.2, 0.2, 0.03}));
  spec.ranks.back().device->errors.reset();
  EXPECT_FALSE(errors_of(spec).has_value());
}

TEST(ErrorBand, NoneWithoutErrors) {
  EXPECT_FALSE(errors_of(ClusterSpec{}).has_value());
}

}  // namespace
}  // namespace rehearse
