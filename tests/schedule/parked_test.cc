// Units that nobody holds: one rank keeps their weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "model/plan/verify.h"
#include "model/schedule/build_plan.h"
#include "tests/schedule/plans.h"
#include "tests/schedule/resnet_plan.h"

namespace rehearse {
namespace {

// Of 9 blocks 5 are held by the first and 3 by the second worker: 4 are parked, whole, on one
// replica each, with the optimizer's state only where somebody may hold them later.
TEST(Parked, IsWhatNobodyHolds) {
  StrategySpec strategy = testing::dealt(AssignmentKind::nested, {{1, 2}, {1, 3}});
  strategy.data = 2;
  for (const bool redraws : {false, true}) {
    if (redraws) strategy.subnetwork->assignment = AssignmentKind::rolling;
    const Plan plan = testing::resnet_plan(redraws ? testing::redrawn(strategy, 1) : strategy, 4);
    const Status good = verify(plan);
    EXPECT_TRUE(good.ok()) << format(good.errors());
    const Net net = *whole_net(plan);
    std::set<UnitId> parked;
    for (std::size_t r = 0; r < 4; ++r) {
      const RankProgram& program = program_of(plan, RankId(r));
      for (std::size_t c = 0; c < program.parameter_classes.size(); ++c) {
        const ParameterClass& own = program.parameter_classes[c];
        if (!is_parked(own)) continue;
        EXPECT_EQ(own.holders, 0);
        for (const ParameterId id : own.parameters)
          parked.insert(*net.parameters[id.index()].unit);
        std::map<BufferKind, Bytes> buffers;
        for (const Buffer& buffer : program.buffers) {
          if (buffer.parameter_class == ParameterClassId(c)) buffers[buffer.kind] = buffer.size;
        }
        const Bytes fp32 = Bytes::bytes(4 * own.elements);
        std::map<BufferKind, Bytes> expected = {{BufferKind::parameters, fp32}};
        if (redraws) expected[BufferKind::optimizer_state] = fp32;
        EXPECT_EQ(buffers, expected);
      }
    }
    EXPECT_EQ(parked.size(), 4u);
    std::set<std::string> names;
    for (const RankProgram& program : plan.programs)
      EXPECT_TRUE(names.insert(program.name).second) << program.name;
  }
}

// Moments that start from 0 with every draw are not parked; master copies are, with them.
TEST(Parked, KeepsTheStateThatIsNeeded) {
  const auto parks_state = [](Moments moments, DataType dtype) {
    StrategySpec strategy =
        testing::redrawn(testing::dealt(AssignmentKind::rolling, {{1, 2}, {1, 3}}), 1);
    strategy.subnetwork->moments = moments;
    Training training = testing::training();
    training.dtype = dtype;
    const Plan plan = *build_plan(strategy, testing::resnet20(), training, 2, even_costs(11));
    std::set<bool> parks;
    for (const RankProgram& program : plan.programs) {
      for (std::size_t c = 0; c < program.parameter_classes.size(); ++c) {
        if (!is_parked(program.parameter_classes[c])) continue;
        parks.insert(
            std::any_of(program.buffers.begin(), program.buffers.end(), [&](const Buffer& buffer) {
              return buffer.kind == BufferKind::optimizer_state &&
                     buffer.parameter_class == ParameterClassId(c);
            }));
      }
    }
    EXPECT_EQ(parks.size(), 1u);
    return *parks.begin();
  };
  EXPECT_TRUE(parks_state(Moments::keep, DataType::fp32));
  EXPECT_TRUE(parks_state(Moments::keep, DataType::bf16));
  EXPECT_FALSE(parks_state(Moments::reset, DataType::fp32));
  EXPECT_TRUE(parks_state(Moments::reset, DataType::bf16));
}

// Who holds it after the next draw goes on with all of it.
TEST(Parked, KeepsWhatBothOptimizersHave) {
  StrategySpec strategy = testing::redrawn(
      testing::dealt(AssignmentKind::rolling, {{1, 2}, {1, 4}, {1, 4}, {1, 4}}), 4);
  strategy = testing::local(strategy, 2, OuterOptimizer{0.7, 0.9});
  const Plan plan = testing::resnet_plan(strategy);
  const Status good = verify(plan);
  EXPECT_TRUE(good.ok()) << format(good.errors());
  std::int64_t parked = 0;
  for (const RankProgram& program : plan.programs) {
    for (const Buffer& buffer : program.buffers) {
      if (buffer.kind != BufferKind::outer_state) continue;
      const ParameterClass& its = program.parameter_classes[buffer.parameter_class->index()];
      // Anchor and momentum in fp32.
      EXPECT_EQ(buffer.size.bytes(), 8 * its.elements);
      parked += is_parked(its) ? 1 : 0;
    }
  }
  EXPECT_GT(parked, 0);
}

}  // namespace
}  // namespace rehearse
