// Shares of a step's time, on timelines drawn by hand.
#include <gtest/gtest.h>

#include <algorithm>

#include "model/base/random.h"
#include "model/plan/timeline.h"

namespace rehearse {
namespace {

// Two ranks that compute, reduce on a lane beside it, and update.
Plan two_ranks() {
  Plan plan;
  plan.groups = {{{RankId(0), RankId(1)}}};
  RankProgram program;
  program.lanes = {{LaneKind::compute, {}}, {LaneKind::collective, {}}};
  program.parameter_classes.resize(1);
  program.parameter_classes[0].elements = 8;
  program.parameter_classes[0].group = 0;
  const auto op = [](OpKind kind, int lane, auto detail) {
    return Op{kind, LaneId(lane), {}, {}, detail};
  };
  program.ops = {op(OpKind::forward, 0, Compute{}), op(OpKind::backward, 0, Compute{}),
                 op(OpKind::all_reduce, 1, Collective{0, ParameterClassId(0), 0, 8, 4, 2}),
                 op(OpKind::optimizer_step, 0, Optimize{ParameterClassId(0)})};
  plan.programs = {program};
  plan.ranks.resize(2);
  for (RankBinding& rank : plan.ranks)
    rank.program = RankClassId(0), rank.groups = {GroupId(0)};
  return plan;
}

struct Bar {
  std::int64_t issue, start, end;  // seconds from the step's beginning
};

// The same bars in every step; steps of 20 s, but for the one that is `longer`.
Timeline drawn(const std::vector<std::vector<Bar>>& ranks, std::int64_t steps,
               std::int64_t longer = -1) {
  Timeline timeline;
  timeline.steps = steps;
  const auto at = [](std::int64_t s) { return Time::nanoseconds(s * 1'000'000'000); };
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    for (std::int64_t step = 0; step < steps; ++step) {
      const std::int64_t base = 20 * step + (longer >= 0 && step > longer ? 5 : 0);
      for (std::size_t op = 0; op < ranks[r].size(); ++op) {
        const Bar& bar = ranks[r][op];
        const bool stretched = step == longer && op + 1 == ranks[r].size();
        timeline.spans.push_back({RankId(r), OpId(op), step, at(base + bar.issue),
                                  at(base + bar.start), at(base + bar.end + (stretched ? 5 : 0))});
      }
    }
  }
  return timeline;
}

// Rank 0: forward 0..4, backward 4..10, update 16..20; rank 1 is late: backward 6..12.
// Both reduce from 12, when the later one is there, to 16.
const std::vector<std::vector<Bar>> kBars = {
    {{0, 0, 4}, {4, 4, 10}, {10, 12, 16}, {16, 16, 20}},
    {{0, 0, 6}, {6, 6, 12}, {12, 12, 16}, {16, 16, 20}},
};

TEST(BreakDown, AWaitIsIdleUntilEverybodyIsThereThenExposed) {
  const Breakdown breakdown = break_down(two_ranks(), drawn(kBars, 4), 1);
  EXPECT_EQ(breakdown.step_time.seconds(), 20);
  EXPECT_EQ(breakdown.ranks[0].compute.seconds(), 14);
  EXPECT_EQ(breakdown.ranks[0].idle.seconds(), 2) << "from 10 to 12 rank 1 has not issued it";
  EXPECT_EQ(breakdown.ranks[0].exposed_communication.seconds(), 4);
  EXPECT_EQ(breakdown.ranks[1].compute.seconds(), 16);
  EXPECT_EQ(breakdown.ranks[1].idle.seconds(), 0);
  EXPECT_EQ(breakdown.ranks[1].exposed_communication.seconds(), 4);
}

TEST(BreakDown, CommunicationBeneathComputeIsNotExposed) {
  auto bars = kBars;
  for (auto& rank : bars)
    rank[2] = {4, 4, 14};
  const Breakdown breakdown = break_down(two_ranks(), drawn(bars, 4), 1);
  EXPECT_EQ(breakdown.ranks[0].exposed_communication.seconds(), 4) << "10 to 14";
  EXPECT_EQ(breakdown.ranks[1].exposed_communication.seconds(), 2) << "12 to 14";
  EXPECT_EQ(breakdown.ranks[0].idle.seconds(), 2)
      << "14 to 16: the update waits for nothing that is drawn";
}

TEST(BreakDown, KindsAreBusyFromStartToEnd) {
  const Breakdown breakdown = break_down(two_ranks(), drawn(kBars, 4), 1);
  ASSERT_EQ(breakdown.kinds.size(), 4u);
  for (const Breakdown::KindTime& kind : breakdown.kinds)
    EXPECT_EQ(kind.ops, 2);
  EXPECT_EQ(breakdown.kinds[0].kind, OpKind::forward);
  EXPECT_EQ(breakdown.kinds[0].busy.seconds(), 5) << "4 and 6";
  EXPECT_EQ(breakdown.kinds[1].busy.seconds(), 6);
  EXPECT_EQ(breakdown.kinds[2].kind, OpKind::all_reduce);
  EXPECT_EQ(breakdown.kinds[2].busy.seconds(), 4);
}

// Rank 0 ends its steps 4 s before rank 1 and goes on. Of the steps after two of warm-up the last
// one is the shorter, from 69 s to 89 s: rank 0's forward pass of it, from 65 s on, lies before it.
TEST(BreakDown, KindsThatComputeAddUpToTheMeanCompute) {
  const std::vector<std::vector<Bar>> bars = {
      {{0, 0, 4}, {4, 4, 10}, {10, 14, 18}, {18, 18, 20}},
      {{4, 4, 8}, {8, 8, 14}, {14, 14, 18}, {18, 18, 24}},
  };
  const Breakdown breakdown = break_down(two_ranks(), drawn(bars, 4, 2), 2);
  EXPECT_EQ(breakdown.step_time.seconds(), 20);
  ASSERT_EQ(breakdown.kinds.size(), 4u);
  EXPECT_EQ(breakdown.kinds[0].busy.seconds(), 2) << "0 and 4";
  EXPECT_EQ(breakdown.kinds[1].busy.seconds(), 6);
  EXPECT_EQ(breakdown.kinds[3].busy.seconds(), 4) << "2 and 6";
  EXPECT_EQ(breakdown.ranks[0].compute.seconds(), 6 + 2);
  EXPECT_EQ(breakdown.ranks[1].compute.seconds(), 4 + 6 + 6);
}

// Of the longest stretch of passes, rank 1's: 12 s without a gap; rank 0 has one of 10 s.
TEST(BreakDown, TheBubbleIsThatOfTheLongestStretchWithoutUpdates) {
  EXPECT_EQ(break_down(two_ranks(), drawn(kBars, 4), 1).bubble_fraction, 0);
  auto bars = kBars;
  bars[1][1] = {6, 9, 12};
  EXPECT_EQ(break_down(two_ranks(), drawn(bars, 4), 1).bubble_fraction, 0.25) << "6 to 9 of 12";
}

// Of a plan that takes over from another, whose last step is known to have ended.
TEST(BreakDown, AFirstStepThatIsKnownToBeginCounts) {
  Timeline timeline = drawn(kBars, 1);
  timeline.begin = Time{};
  const Breakdown breakdown = break_down(two_ranks(), timeline, 0);
  EXPECT_EQ(breakdown.step_time.seconds(), 20);
  EXPECT_EQ(breakdown.ranks[0].compute.seconds(), 14);
  ASSERT_EQ(breakdown.kinds.size(), 4u);
  EXPECT_EQ(breakdown.kinds[0].busy.seconds(), 5);
}

TEST(BreakDown, TakesTheMedianStepAndLeavesWarmUpOut) {
  const Breakdown one_odd = break_down(two_ranks(), drawn(kBars, 5, 3), 1);
  EXPECT_EQ(one_odd.step_time.seconds(), 20);
  const Breakdown only_odd = break_down(two_ranks(), drawn(kBars, 3, 2), 2);
  EXPECT_EQ(only_odd.step_time.seconds(), 25) << "one step is left, the long one";
  const RankTime& rank = only_odd.ranks[0];
  EXPECT_EQ((rank.compute + rank.exposed_communication + rank.idle).seconds(), 25);
}

TEST(BreakDown, CutsWhatCrossesTheStepsEnds) {
  auto bars = kBars;
  bars[0][3] = {16, 16, 18};  // rank 0 ends first and is idle until it begins anew
  const Breakdown breakdown = break_down(two_ranks(), drawn(bars, 4), 1);
  EXPECT_EQ(breakdown.step_time.seconds(), 20);
  EXPECT_EQ(breakdown.ranks[0].compute.seconds(), 12);
  EXPECT_EQ(breakdown.ranks[0].idle.seconds(), 4);
}

// By the definition, second for second: what is under way decides what it is.
RankTime counted(const Plan& plan, const Timeline& timeline, RankId rank, std::int64_t begin,
                 std::int64_t end) {
  RankTime sum;
  for (std::int64_t second = begin; second < end; ++second) {
    const Time now = Time::nanoseconds(second * 1'000'000'000);
    bool computes = false, communicates = false;
    for (const Span& span : timeline.spans) {
      if (span.rank != rank || span.start > now || span.end <= now) continue;
      (is_communication(program_of(plan, rank).ops[span.op.index()].kind) ? communicates
                                                                          : computes) = true;
    }
    (computes       ? sum.compute
     : communicates ? sum.exposed_communication
                    : sum.idle) += Seconds::seconds(1);
  }
  return sum;
}

std::int64_t end_of_step(const Timeline& timeline, std::int64_t step) {
  Time end;
  for (const Span& span : timeline.spans) {
    if (span.step == step) end = std::max(end, span.end);
  }
  return end.picoseconds() / 1'000'000'000'000;
}

// Bars wherever they like, over and beside one another, and while the next step has begun.
TEST(BreakDown, IsTheDefinitionOnAnyTimeline) {
  const Plan plan = two_ranks();
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random.below(n)); };
    std::vector<std::vector<Bar>> bars(2);
    for (std::vector<Bar>& rank : bars) {
      for (std::size_t op = 0; op < plan.programs[0].ops.size(); ++op) {
        const std::int64_t issue = below(16), start = issue + below(4);
        rank.push_back({issue, start, start + below(8)});
      }
    }
    const Timeline timeline = drawn(bars, 3);
    const std::int64_t begin = end_of_step(timeline, 0), end = end_of_step(timeline, 1);
    const Breakdown breakdown = break_down(plan, timeline, 1);
    EXPECT_EQ(breakdown.step_time.seconds(), static_cast<double>(end - begin));
    for (std::size_t r = 0; r < bars.size(); ++r) {
      const RankTime expected = counted(plan, timeline, RankId(r), begin, end);
      EXPECT_EQ(breakdown.ranks[r].compute, expected.compute);
      EXPECT_EQ(breakdown.ranks[r].exposed_communication, expected.exposed_communication);
      EXPECT_EQ(breakdown.ranks[r].idle, expected.idle);
    }
  }
}

}  // namespace
}  // namespace rehearse
