#include "model/plan/layout.h"

#include <gtest/gtest.h>

#include "model/net/pack.h"
#include "model/plan/happens_before.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

struct Life {
  std::optional<OpId> begin, end;
};

TEST(Layout, NeverPutsTwoLiveBuffersIntoOnePlace) {
  for (const auto& c : testing::all_cases()) {
    const Result<Plan> plan = testing::plan_of(c);
    ASSERT_TRUE(plan.ok()) << c.name << "\n" << format(plan.errors());
    for (const RankProgram& program : plan->programs) {
      const Layout layout = lay_out(program);
      const HappensBefore before(program);
      std::vector<Life> lives(program.buffers.size());
      for (std::size_t op = 0; op < program.ops.size(); ++op) {
        for (const Operand& operand : program.ops[op].operands) {
          if (operand.allocates) lives[operand.buffer.index()].begin = OpId(op);
          if (operand.frees) lives[operand.buffer.index()].end = OpId(op);
        }
      }
      for (std::size_t i = 0; i < lives.size(); ++i) {
        const Bytes end = layout.offsets[i] + program.buffers[i].size;
        EXPECT_LE(end, layout.arena);
        EXPECT_EQ(layout.offsets[i].bytes() % kAlignment.bytes(), 0);
        for (std::size_t j = 0; j < i; ++j) {
          const bool apart = end <= layout.offsets[j] ||
                             layout.offsets[j] + program.buffers[j].size <= layout.offsets[i];
          if (apart) continue;
          // They share bytes: one is surely gone before the other comes.
          ASSERT_TRUE(lives[i].begin && lives[j].begin)
              << c.name << ": buffers " << i << " and " << j;
          EXPECT_TRUE(before(*lives[i].end, *lives[j].begin) ||
                      before(*lives[j].end, *lives[i].begin))
              << c.name << ": buffers " << i << " and " << j;
        }
      }
    }
  }
}

// Whatever else there is: so that they stay where they are from one plan to the next.
TEST(Layout, BeginsWithThePersistentBuffersInTheirOrder) {
  for (const auto& c : testing::all_cases()) {
    const Result<Plan> plan = testing::plan_of(c);
    ASSERT_TRUE(plan.ok());
    for (const RankProgram& program : plan->programs) {
      const Layout layout = lay_out(program);
      Bytes end;
      for (std::size_t b = 0; b < program.buffers.size(); ++b) {
        if (!is_persistent(program.buffers[b].kind)) continue;
        EXPECT_EQ(layout.offsets[b], end) << c.name << ": buffer " << b;
        end = layout.offsets[b] + align_up(program.buffers[b].size, kAlignment);
      }
    }
  }
}

// What is alive at once has to fit; the layout wastes little on top of it.
TEST(Layout, IsNearTheLivePeak) {
  for (const auto& c : testing::all_cases()) {
    const Result<Plan> plan = testing::plan_of(c);
    ASSERT_TRUE(plan.ok());
    for (const RankProgram& program : plan->programs) {
      const Layout layout = lay_out(program);
      EXPECT_GE(layout.arena, layout.live) << c.name << ' ' << program.name;
      EXPECT_LE(layout.arena / layout.live, 1.35) << c.name << ' ' << program.name;
    }
  }
}

// GPipe keeps the activations of m micro-batches on every stage, 1F1B those of p - s.
TEST(Layout, OneForwardOneBackwardKeepsFewerActivations) {
  const auto arena = [](const std::string& schedule, std::size_t stage) {
    const Result<Plan> plan =
        testing::plan_of({"", testing::pipeline(schedule, 4, 8), testing::resnet20(), 4});
    const RankProgram& program = plan->programs[stage];
    return lay_out(program).live;
  };
  for (std::size_t stage = 0; stage < 4; ++stage)
    EXPECT_LT(arena("1f1b", stage), arena("gpipe", stage));
}

}  // namespace
}  // namespace rehearse
