#include "tools/scoreboard/bands.h"

#include <gtest/gtest.h>

#include "model/base/random.h"
#include "tests/scoreboard/cases.h"

namespace rehearse {
namespace {

using testing::made_case;

// Twelve uniform numbers have a variance of 1.
double normal(Random& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i)
    sum += static_cast<double>(random.below(1'000'000)) / 1e6;
  return sum;
}

// Sources with two factors of their own each, and rows with one more.
TEST(Bands, FindWhatErrorsHaveInCommon) {
  Random random(5);
  const PredictionErrors truth{0.2, 0.1, 0.05};
  std::vector<Case> cases;
  for (int source = 0; source < 60; ++source)
    cases.push_back(made_case(std::to_string(source), 1, 1, {}));
  std::vector<Residual> residuals;
  for (const Case& source : cases) {
    const double computing = truth.computing * normal(random),
                 messages = truth.messages * normal(random);
    for (const double share : {0.1, 0.3, 0.5, 0.7, 0.9, 1.0}) {
      const double own = truth.strategy * normal(random);
      residuals.push_back(
          {&source, {share, 1 - share}, share * computing + (1 - share) * messages + own});
    }
  }
  std::vector<const Residual*> all;
  for (const Residual& one : residuals)
    all.push_back(&one);
  const auto found = likeliest_errors(all);
  ASSERT_TRUE(found);
  EXPECT_NEAR(found->computing, truth.computing, 0.05);
  EXPECT_NEAR(found->messages, truth.messages, 0.04);
  EXPECT_NEAR(found->strategy, truth.strategy, 0.01);
}

TEST(Bands, NeedTwoSources) {
  const Case alone = made_case("a", 1, 1, {});
  const Residual one{&alone, {1, 0}, 0.1, 0.1};
  EXPECT_FALSE(likeliest_errors({&one}));
}

// Of three sources one takes half as long again: the others' errors do not hold it.
TEST(Bands, HoldWhatOthersErrorsHold) {
  std::vector<Case> cases;
  for (const auto& [source, off] :
       {std::pair("a", 1.0), std::pair("b", 1.02), std::pair("c", 0.98), std::pair("odd", 1.5)}) {
    for (const double of : {1.0, 2.0, 3.0, 4.0}) {
      cases.push_back(made_case(source, of, 1, {}));
      cases.back().measured *= off * (1 + 0.002 * of);
      cases.back().is_fitted = false;
    }
  }
  const Result<Scoreboard> board = score(cases);
  ASSERT_TRUE(board.ok());
  const auto residuals = residuals_of(*board);
  ASSERT_TRUE(residuals.ok());
  // All of these is computing.
  EXPECT_NEAR(residuals->front().shares.computing, 1, 0.03);
  const Bands bands = bands_of(*board, *residuals);
  ASSERT_EQ(bands.coverage.size(), 4u);
  EXPECT_EQ(bands.coverage[3].apart, 4u);
  EXPECT_EQ(bands.coverage[3].inside_apart, 0u);
  EXPECT_EQ(bands.coverage[0].inside_apart, 4u);
}

// One source is far off. Where it stands apart, bands are what the others say, and do not hold it.
TEST(Bands, AreNotOfWhatStandsApart) {
  std::vector<Case> cases;
  for (const auto& [source, off] :
       {std::pair("a", 1.0), std::pair("b", 1.02), std::pair("odd", 2.5)}) {
    for (const double of : {1.0, 2.0, 3.0}) {
      cases.push_back(made_case(source, of, 1, {}));
      cases.back().measured *= off * (1 + 0.002 * of);
      cases.back().is_fitted = false;
    }
  }
  const auto bands = [&] {
    const Result<Scoreboard> board = score(cases);
    return bands_of(*board, *residuals_of(*board));
  };
  EXPECT_GT(bands().of_device.begin()->second.computing, 0.3);
  for (std::size_t row = 6; row < 9; ++row)
    cases[row].is_apart = true;
  const Bands apart = bands();
  EXPECT_LT(apart.of_device.begin()->second.computing, 0.05);
  ASSERT_EQ(apart.coverage.size(), 3u);
  EXPECT_EQ(apart.coverage[0].inside, 3u);
  EXPECT_EQ(apart.coverage[2].rows, 3u);
  EXPECT_EQ(apart.coverage[2].inside, 0u);
  EXPECT_EQ(apart.coverage[2].inside_apart, 0u);
}

// A device's only source: its profile's errors hold a tenth off, or do not.
TEST(Bands, OfASingleSourceAreTheProfiles) {
  std::vector<Case> cases;
  for (const double of : {1.0, 2.0}) {
    cases.push_back(made_case("alone", of, 1, {}));
    cases.back().measured *= 1.1;
    cases.back().is_fitted = false;
  }
  const auto coverage = [&] {
    const Result<Scoreboard> board = score(cases);
    return bands_of(*board, *residuals_of(*board)).coverage;
  };
  EXPECT_TRUE(coverage().empty());
  cases[0].errors = cases[1].errors = {0.1, 0, 0};
  ASSERT_EQ(coverage().size(), 1u);
  EXPECT_EQ(coverage()[0].rows, 2u);
  EXPECT_EQ(coverage()[0].inside, 2u);
  EXPECT_EQ(coverage()[0].apart, 0u);
  cases[0].errors->computing = 0.02;
  EXPECT_EQ(coverage()[0].inside, 1u);
}

}  // namespace
}  // namespace rehearse
