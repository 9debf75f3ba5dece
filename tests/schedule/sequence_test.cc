#include "model/schedule/sequence.h"

#include <gtest/gtest.h>

#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

struct Turn {
  std::int64_t draw = 0;
  bool synchronises = true;
  friend bool operator==(const Turn&, const Turn&) = default;
};

Turn turn_at(const StrategySpec& strategy, std::int64_t step) {
  const StrategySpec at = at_step(strategy, step);
  return {at.subnetwork ? at.subnetwork->draw : 0, at.synchronises};
}

StrategySpec redrawn(std::optional<std::int64_t> every, std::int64_t local_steps) {
  StrategySpec strategy = testing::local(testing::subnetwork({1, 2}), local_steps);
  strategy.subnetwork->redraw = every;
  return strategy;
}

// The step that next_change() names is the first one whose turn is another.
TEST(Sequence, ChangesWhereItSaysSo) {
  for (const StrategySpec& strategy :
       {redrawn(std::nullopt, 1), redrawn(3, 1), redrawn(std::nullopt, 2), redrawn(std::nullopt, 5),
        redrawn(6, 3), redrawn(4, 4), testing::local(testing::data_parallel(), 4)}) {
    for (std::int64_t step = 0; step < 40; ++step) {
      const auto next = next_change(strategy, step);
      for (std::int64_t other = step + 1; other < next.value_or(60); ++other)
        EXPECT_EQ(turn_at(strategy, other), turn_at(strategy, step)) << step << ", " << other;
      if (next) {
        EXPECT_NE(turn_at(strategy, *next), turn_at(strategy, step)) << step;
      }
    }
  }
}

// A period's last step synchronises, and a draw begins with a period.
TEST(Sequence, EndsPeriodsWithASynchronisation) {
  const StrategySpec strategy = redrawn(6, 3);
  std::vector<Turn> turns;
  for (std::int64_t step = 0; step < 8; ++step)
    turns.push_back(turn_at(strategy, step));
  EXPECT_EQ(turns, (std::vector<Turn>{{0, false},
                                      {0, false},
                                      {0, true},
                                      {0, false},
                                      {0, false},
                                      {0, true},
                                      {1, false},
                                      {1, false}}));
  EXPECT_EQ(next_change(testing::data_parallel(), 7), std::nullopt);
}

}  // namespace
}  // namespace rehearse
