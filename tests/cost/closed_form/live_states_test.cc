#include "cost/closed_form/live_states.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace rehearse {
namespace {

// Schedules that have estimates, with as many micro-batches as make them go around several times.
TEST(LiveStates, OfFewMicroBatchesAreThoseOfAll) {
  for (const char* name : {"1f1b", "gpipe", "interleaved", "zb-h1", "zb-h2"}) {
    const PipelineSchedule& schedule = *find_pipeline_schedule(name);
    const std::int64_t most = std::min<std::int64_t>(schedule.most_chunks, 4);
    for (std::int64_t ranks = 1; ranks <= 7; ++ranks) {
      for (std::int64_t chunks = schedule.fewest_chunks; chunks <= most; ++chunks) {
        for (std::int64_t m = 1; m <= 6 * ranks; ++m) {
          const PipelineShape shape{ranks, chunks, m, schedule.placement};
          if (!schedule.check(shape)) continue;
          for (const StageExchange exchange : stage_exchanges()) {
            EXPECT_EQ(live_states(schedule, shape, exchange),
                      plain_live_states(schedule, shape, exchange))
                << name << " p " << ranks << " v " << chunks << " m " << m << " "
                << to_string(exchange);
          }
        }
      }
    }
  }
}

std::int64_t most_kept(const std::string& name, const PipelineShape& shape, std::size_t rank) {
  const LiveStates states = live_states(*find_pipeline_schedule(name), shape)[rank];
  std::int64_t most = 0;
  for (std::size_t m = 0; m < states.moments.size(); ++m) {
    std::int64_t kept = 0;
    for (std::size_t s = 0; s < states.stages.size(); ++s) {
      for (const StageAction state : {StageAction::forward, StageAction::send_forward})
        kept += states.counts_of(m)[s][static_cast<std::size_t>(state)];
    }
    most = std::max(most, kept);
  }
  return most;
}

// 1F1B keeps p - s activations, GPipe all of them.
TEST(LiveStates, AreAsManyAsTheSchedulesKeep) {
  for (const std::int64_t p : {2, 4, 7}) {
    for (std::size_t rank = 0; rank < static_cast<std::size_t>(p); ++rank) {
      EXPECT_EQ(most_kept("1f1b", {p, 1, 20, Placement::loop}, rank),
                p - static_cast<std::int64_t>(rank));
      EXPECT_EQ(most_kept("gpipe", {p, 1, 20, Placement::loop}, rank), 20);
    }
  }
}

// A rank of 1F1B keeps what p - r micro-batches left, of all earlier ranks more (Narayanan et al.,
// PipeDream-Flush, ICML 2021, section 2.2): in the midst each is covered by the one before.
TEST(LiveStates, LaterRanksOf1f1bKeepLess) {
  const auto ranks = live_states(*find_pipeline_schedule("1f1b"), {6, 1, 20, Placement::loop});
  for (std::size_t r = 2; r + 1 < ranks.size(); ++r)
    EXPECT_TRUE(ranks[r].is_covered) << r;
  const auto most = [](const LiveStates& rank) {
    std::int32_t sum = 0;
    for (const LiveStates::Counts& counts : rank.counts)
      sum = std::max(sum, counts[static_cast<std::size_t>(StageAction::send_forward)]);
    return sum;
  };
  // All forwards but the one that is under way have been sent when the first backward begins.
  EXPECT_EQ(most(ranks[1]), 5);
  EXPECT_EQ(most(ranks[4]), 2);
}

// ZB-H1 keeps fewer micro-batches' activations and more weight gradients to come on later ranks.
TEST(LiveStates, LaterRanksOfZeroBubbleKeepOtherThings) {
  const auto ranks = live_states(*find_pipeline_schedule("zb-h1"), {6, 1, 20, Placement::loop});
  for (std::size_t r = 2; r + 1 < ranks.size(); ++r)
    EXPECT_FALSE(ranks[r].is_covered) << r;
}

}  // namespace
}  // namespace rehearse
