#include "tools/scoreboard/score.h"

#include <gtest/gtest.h>

#include "tests/scoreboard/cases.h"

namespace rehearse {
namespace {

using testing::made_case;

TEST(Score, CountsErrorsOrderAndRegret) {
  std::vector<Case> cases(4);
  const double measured[] = {1, 2, 4, 10}, predicted[] = {1.5, 1, 5, 10};
  std::vector<Predicted> rows;
  for (std::size_t c = 0; c < cases.size(); ++c) {
    cases[c].group = c < 3 ? "one" : "alone";
    cases[c].measured = measured[c];
    rows.push_back({&cases[c], predicted[c], 0});
  }
  const Errors errors = errors_of(rows, &Predicted::committed);
  // +50 %, -50 %, +25 %, 0
  EXPECT_DOUBLE_EQ(errors.mean, (0.5 + 0.5 + 0.25 + 0) / 4);
  EXPECT_DOUBLE_EQ(errors.worst, 0.5);
  EXPECT_DOUBLE_EQ(errors.bias, 0.25 / 4);
  // Of three pairs the first is the wrong way round; the second is chosen, which takes twice 1 s.
  EXPECT_DOUBLE_EQ(*errors.order, 2.0 / 3);
  EXPECT_DOUBLE_EQ(*errors.regret, 1);
}

TEST(Score, HoldsASourceOutOfTheFitToIt) {
  const Factors truth = {{"products", 0.9}};
  std::vector<Case> cases = {made_case("a", 5, 0, truth), made_case("b", 5, 0, truth),
                             made_case("odd", 5, 0, {{"products", 0.45}})};
  const Result<Scoreboard> board = score(cases);
  ASSERT_TRUE(board.ok());
  ASSERT_EQ(board->sources.size(), 3u);
  // By the other two, which agree on 0.9, the odd one is predicted to take half as long as it does.
  EXPECT_NEAR(board->sources[2].held_out->bias, -0.5, 0.01);
  EXPECT_NEAR(board->sources[2].committed.bias, -0.55, 1e-9);
  EXPECT_EQ(board->sources[2].fitted, 1u);
}

TEST(Score, SaysWhereNothingElseIsFitted) {
  std::vector<Case> cases = {made_case("a", 5, 1, {}), made_case("a", 1, 5, {})};
  EXPECT_FALSE(score(cases)->sources[0].held_out);
  // Nor is anything fitted to a source without rows for it: its prediction is one.
  cases.push_back(made_case("b", 5, 1, {}));
  cases.back().is_fitted = false;
  EXPECT_FALSE(score(cases)->sources[0].held_out);
  EXPECT_TRUE(score(cases)->sources[1].held_out);
  // A source has those rows held out for which there are others.
  cases.push_back(made_case("a", 2, 2, {}));
  cases.back().device = "another";
  cases.push_back(made_case("c", 3, 2, {}));
  cases.back().device = "another";
  EXPECT_EQ(score(cases)->sources[0].held_out_cases, 1u);
}

}  // namespace
}  // namespace rehearse
