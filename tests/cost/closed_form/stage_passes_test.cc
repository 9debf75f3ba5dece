// Stages of many alike blocks, said by the programs of few, against their own programs.
#include "cost/closed_form/stage_passes.h"

#include <gtest/gtest.h>

#include "cost/closed_form/rank_net.h"
#include "model/net/model_spec.h"
#include "model/net/tensor.h"
#include "model/schedule/build_plan.h"
#include "tests/cost/devices.h"

namespace rehearse {
namespace {

constexpr std::int64_t kSamples = 3;

Net gpt(std::int64_t ways, bool sequence_parallel) {
  const Net whole = build_net({"gpt",
                               {{"layers", {14}},
                                {"width", {64}},
                                {"heads", {4}},
                                {"vocabulary", {96}},
                                {"sequence", {32}},
                                {"positions", {32}},
                                {"tied", {0}}}})
                        .value();
  return ways == 1 ? whole : shard(whole, ways, sequence_parallel).value();
}

struct Case {
  std::int64_t ways;
  Recomputation recomputation;
  bool splits_backward;
  bool scatters = false;  // messages, which sequence parallelism does not ask for
};

class Stages : public ::testing::TestWithParam<Case> {
 protected:
  Stages() : device_(testing::simple_device()) { device_.kind = DeviceKind::gpu; }

  // By the program of the whole stage.
  StagePasses read(const NetVariants& nets, std::size_t begin, std::size_t end,
                   const std::vector<SegmentId>& complete, PartNumbers& numbers) {
    const Case& it = GetParam();
    StageProgram program(nets, &NetVariants::whole, nets.run.size(), begin, end, complete,
                         {it.recomputation, it.splits_backward, it.ways, false, it.scatters},
                         training_, numbers);
    std::vector<PartPass> parts;
    price_parts(numbers, nets, kSamples, training_, device_, parts);
    program.resize({nets.whole, kSamples, it.ways, parts}, training_);
    alone_ = StageFigures(read_stage(program, parts, ring(), device_));
    return stage_passes(alone_, end - begin);
  }

  RingGroup ring() const {
    RingGroup group;
    group.members = static_cast<std::size_t>(GetParam().ways);
    return group;
  }

  Training training_;
  Device device_;
  StageFigures alone_{StageReading{}};
};

TEST_P(Stages, OfFewRepeatsSayThoseOfMany) {
  const Case& it = GetParam();
  const NetVariants nets(gpt(it.ways, !it.scatters));
  // Slices of other widths run the same programs.
  const NetVariants others(gpt(it.ways == 2 ? 4 : it.ways, !it.scatters));
  ASSERT_TRUE(are_alike(nets.whole, others.whole));
  NetPrograms programs(others, it.ways == 2 ? 4 : it.ways, false, it.scatters, training_);
  RankNet net(nets, it.ways, programs);
  NetPasses passes(net, kSamples, ring(), even_costs(nets.few.blocks.size()), training_, device_);
  const std::size_t blocks = net.net().blocks.size();
  ASSERT_EQ(net.run().size(), 14U);
  // The first stage, one in the midst, the last, and all of it.
  const std::vector<std::pair<std::size_t, std::size_t>> stages = {
      {0, 10}, {2, 12}, {3, blocks}, {0, blocks}};
  for (const auto& [begin, end] : stages) {
    const auto complete = programs.free_completions(begin, end, it.recomputation);
    const StagePasses few =
        passes.stage(programs.stage(begin, end, complete, it.recomputation, it.splits_backward));
    PartNumbers numbers(nets);
    const StagePasses full = read(nets, begin, end, complete, numbers);
    for (std::size_t a = 0; a < kStageActions; ++a) {
      EXPECT_EQ(few.memory[a].peak, full.memory[a].peak) << begin << " to " << end << ": " << a;
      EXPECT_EQ(few.memory[a].delta, full.memory[a].delta) << begin << " to " << end << ": " << a;
      EXPECT_NEAR(few.times[a].length, full.times[a].length, 1e-9 * full.times[a].length);
      EXPECT_NEAR(few.times[a].busy, full.times[a].busy, 1e-9 * full.times[a].busy);
      if (full.times[a].length == 0) continue;  // no pass
      EXPECT_NEAR(few.times[a].output.after(0, 0, 1), full.times[a].output.after(0, 0, 1),
                  1e-9 * full.times[a].length);
    }
    for (const SegmentId segment : complete) {
      const BlockId block = net.net().segments[segment.index()].block;
      const std::size_t at = segment.index() - begin_of(net.net(), block).index();
      const auto a = few.figures->completion(block.index() - begin, at, few.repeats);
      const auto b = full.figures->completion(block.index() - begin, at, full.repeats);
      EXPECT_EQ(a.live, b.live) << "block " << block.index();
      EXPECT_NEAR(a.ready, b.ready, 1e-9 * full.times[4].length) << "block " << block.index();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Stages,
    ::testing::Values(Case{1, Recomputation::none, false}, Case{1, Recomputation::none, true},
                      Case{1, Recomputation::full, false}, Case{1, Recomputation::full, true},
                      Case{2, Recomputation::none, false}, Case{2, Recomputation::none, true},
                      Case{4, Recomputation::full, false}, Case{4, Recomputation::full, true},
                      Case{2, Recomputation::none, false, true},
                      Case{4, Recomputation::full, true, true}));

}  // namespace
}  // namespace rehearse
