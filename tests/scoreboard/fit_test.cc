#include "tools/scoreboard/fit.h"

#include <gtest/gtest.h>

#include "tests/scoreboard/cases.h"

namespace rehearse {
namespace {

using testing::made_case;

Factors fit_to(const std::vector<Case>& cases) {
  std::vector<const Case*> pointers;
  for (const Case& one : cases)
    pointers.push_back(&one);
  Predictions predictions;
  return *fit(pointers, predictions);
}

TEST(Fit, FindsTheFactorsThatTheCasesHave) {
  const Factors truth = {{"memory", 1.1}, {"products", 0.9}};
  const Factors found =
      fit_to({made_case("a", 5, 1, truth), made_case("b", 1, 5, truth), made_case("c", 3, 3, truth),
              made_case("d", 8, 1, truth), made_case("e", 1, 9, truth)});
  EXPECT_NEAR(found.at("products"), 0.9, 0.02);
  EXPECT_NEAR(found.at("memory"), 1.1, 0.02);
}

TEST(Fit, LeavesWhatIsRight) {
  const Factors found = fit_to({made_case("a", 5, 1, {}), made_case("b", 1, 5, {})});
  EXPECT_DOUBLE_EQ(found.at("products"), 1);
  EXPECT_DOUBLE_EQ(found.at("memory"), 1);
}

// Cases of products alone say nothing about memory.
TEST(Fit, LeavesWhatDoesNotShow) {
  const Factors truth = {{"products", 0.8}};
  const Factors found = fit_to({made_case("a", 5, 0, truth), made_case("b", 2, 0, truth)});
  EXPECT_DOUBLE_EQ(found.at("memory"), 1);
  EXPECT_NEAR(found.at("products"), 0.8, 0.02);
}

TEST(Fit, OfNothingIsNothing) {
  std::vector<Case> cases = {made_case("a", 5, 1, {{"products", 0.5}})};
  cases[0].is_fitted = false;
  EXPECT_TRUE(fit_to(cases).empty());
}

}  // namespace
}  // namespace rehearse
