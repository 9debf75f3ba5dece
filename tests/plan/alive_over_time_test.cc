#include "model/plan/alive_over_time.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "model/plan/layout.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

// Two steps of a program, whose ops take some random time each: one after the other, or as soon as
// those that they wait for have ended.
std::vector<Span> played(const RankProgram& program, bool overlaps, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Span> spans;
  Time begin;
  for (std::int64_t step = 0; step < 2; ++step) {
    std::vector<Time> lanes(program.lanes.size(), begin), ends(program.ops.size());
    Time last = begin;
    for (std::size_t o = 0; o < program.ops.size(); ++o) {
      const Op& op = program.ops[o];
      Time start = overlaps ? lanes[op.lane.index()] : last;
      for (const OpId before : op.after)
        start = std::max(start, ends[before.index()]);
      const Time end = start + Time::nanoseconds(static_cast<std::int64_t>(random() % 3));
      spans.push_back({RankId(0), OpId(o), step, start, start, end});
      lanes[op.lane.index()] = ends[o] = end;
      last = std::max(last, end);
    }
    begin = last;
  }
  return spans;
}

Bytes most(const std::vector<ArenaUse>& uses, Bytes ArenaUse::*figure) {
  Bytes most;
  for (const ArenaUse& use : uses)
    most = std::max(most, use.*figure);
  return most;
}

Bytes state_of(const RankProgram& program) {
  Bytes state;
  for (const Buffer& buffer : program.buffers)
    state += is_persistent(buffer.kind) ? buffer.size : Bytes{};
  return state;
}

class AliveOverTime : public ::testing::Test {
 protected:
  template <class Check>
  void for_each_program(Check check) {
    std::uint32_t seed = 1;
    for (const auto& c : testing::all_cases()) {
      const Result<Plan> plan = testing::plan_of(c);
      ASSERT_TRUE(plan.ok()) << c.name;
      for (const RankProgram& program : plan->programs) {
        SCOPED_TRACE(c.name + ", " + program.name);
        check(program, seed++);
      }
    }
  }
};

// One at a time in list order, ops of no duration among them: what Layout::live counts.
TEST_F(AliveOverTime, IsTheLayoutsSumWhereNothingOverlaps) {
  for_each_program([](const RankProgram& program, std::uint32_t seed) {
    const auto uses = arena_use(program, played(program, false, seed));
    const Layout layout = lay_out(program);
    EXPECT_EQ(most(uses, &ArenaUse::alive), layout.live);
    EXPECT_EQ(most(uses, &ArenaUse::extent), layout.arena);
  });
}

// However lanes overlap, buffers alive together lie apart: their sum is within the arena.
TEST_F(AliveOverTime, StaysWithinTheArena) {
  for_each_program([](const RankProgram& program, std::uint32_t seed) {
    const auto uses = arena_use(program, played(program, true, seed));
    const Layout layout = lay_out(program);
    EXPECT_LE(most(uses, &ArenaUse::alive), layout.arena);
    EXPECT_EQ(most(uses, &ArenaUse::extent), layout.arena);
    for (const ArenaUse& use : uses)
      EXPECT_LE(use.alive, use.extent);
  });
}

// At the end of a step nothing is left but what is there for good.
TEST_F(AliveOverTime, EndsWithTheState) {
  for_each_program([](const RankProgram& program, std::uint32_t seed) {
    const auto uses = arena_use(program, played(program, true, seed));
    if (!uses.empty()) {
      EXPECT_EQ(uses.back().alive, state_of(program));
    }
    EXPECT_TRUE(std::is_sorted(uses.begin(), uses.end(),
                               [](const auto& a, const auto& b) { return a.time < b.time; }));
  });
}

}  // namespace
}  // namespace rehearse
