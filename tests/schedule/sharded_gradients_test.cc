// How many unreduced gradients ZeRO-2 and 3 keep, and what waits for their reductions.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "model/plan/happens_before.h"
#include "model/plan/verify.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

// Buffers of unreduced gradients that may be in memory, whatever the lanes do, when each begins to
// be filled.
std::size_t most_unreduced(const RankProgram& program) {
  struct Life {
    std::optional<OpId> begin, end;
  };
  std::vector<Life> lives(program.buffers.size());
  for (std::size_t o = 0; o < program.ops.size(); ++o) {
    for (const Operand& operand : program.ops[o].operands) {
      if (program.buffers[operand.buffer.index()].kind != BufferKind::unreduced) continue;
      if (operand.allocates) lives[operand.buffer.index()].begin = OpId(o);
      if (operand.frees) lives[operand.buffer.index()].end = OpId(o);
    }
  }
  const HappensBefore before(program);
  std::size_t most = 0;
  for (const Life& life : lives) {
    if (!life.begin) continue;
    most = std::max(most, static_cast<std::size_t>(
                              std::count_if(lives.begin(), lives.end(), [&](const Life& other) {
                                return other.begin && !before(*other.end, *life.begin) &&
                                       !before(*life.begin, *other.begin);
                              })));
  }
  return most;
}

// Of blocks, where parameters are sharded; or of 8 KiB, of which a pass may begin two.
TEST(ShardedGradients, OneReductionIsUnderWayWhileTheNextBucketsFill) {
  for (const auto& [sharding, most] :
       {std::pair(Sharding::parameters, 2U), std::pair(Sharding::gradients, 3U)}) {
    StrategySpec zero = testing::data_parallel("zero", Bytes::kib(8));
    zero.sharding = sharding;
    zero.micro_batches = 3;
    const auto plan = testing::plan_of({"zero", zero, testing::small_gpt(12), 4}, 24);
    ASSERT_TRUE(plan) << format(plan.errors());
    EXPECT_EQ(most_unreduced(plan->programs.front()), most) << to_string(sharding);
  }
}

// What stages share is reduced between them, when the first one gets to it; nothing that the last
// one needs may wait behind it.
TEST(ShardedGradients, PassesDoNotWaitBehindWhatStagesShare) {
  for (const Sharding sharding : {Sharding::gradients, Sharding::parameters}) {
    StrategySpec pipe = testing::pipeline("1f1b", 2, 4);
    pipe.sharding = sharding;
    ModelSpec gpt = testing::small_gpt(11);
    gpt.fields["tied"] = {1};
    const auto plan = testing::plan_of({"tied", pipe, gpt, 8}, 32);
    ASSERT_TRUE(plan) << format(plan.errors());
    const auto verified = verify(*plan);
    EXPECT_TRUE(verified) << format(verified.errors());
  }
}

}  // namespace
}  // namespace rehearse
