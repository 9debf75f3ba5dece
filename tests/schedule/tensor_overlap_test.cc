// Exchanges of tensor-parallel ranks beside the gradients of weights.
#include <gtest/gtest.h>

#include <algorithm>

#include "model/plan/happens_before.h"
#include "model/plan/verify.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

constexpr std::int64_t kLayers = 3;

Plan plan_of(bool sequence_parallel, bool overlap, Recomputation recomputation) {
  StrategySpec strategy;
  strategy.name = "tensor";
  strategy.data = 1;
  strategy.tensor = TensorSpec{2, sequence_parallel, overlap};
  strategy.recomputation = recomputation;
  const ModelSpec model{"gpt",
                        {{"layers", {kLayers}},
                         {"width", {32}},
                         {"heads", {4}},
                         {"sequence", {16}},
                         {"positions", {16}},
                         {"vocabulary", {64}}}};
  return build_plan(strategy, model, testing::training(2), 2, even_costs(kLayers + 2)).value();
}

bool is_exchange(const RankProgram& program, const Op& op) {
  return program.lanes[op.lane.index()].kind == LaneKind::tensor;
}

// Pairs of an exchange and a pass over weights' gradients neither of which waits for the other.
std::int64_t side_by_side(const RankProgram& program) {
  const HappensBefore before(program);
  std::int64_t pairs = 0;
  for (std::size_t a = 0; a < program.ops.size(); ++a) {
    if (program.ops[a].kind != OpKind::backward_weight) continue;
    for (std::size_t b = 0; b < program.ops.size(); ++b) {
      if (!is_exchange(program, program.ops[b])) continue;
      const OpId weight(a), exchange(b);
      pairs += !before(weight, exchange) && !before(exchange, weight) ? 1 : 0;
    }
  }
  return pairs;
}

std::int64_t exchanges(const RankProgram& program) {
  return std::count_if(program.ops.begin(), program.ops.end(),
                       [&](const Op& op) { return is_exchange(program, op); });
}

// Two blocks of every layer and the head have products whose input's gradient is exchanged: that
// exchange is under way while their weights' gradients are computed. What is exchanged stays.
TEST(TensorOverlap, ExchangesBesideWeightsGradients) {
  for (const bool sequence_parallel : {false, true}) {
    for (const Recomputation recomputation : {Recomputation::none, Recomputation::full}) {
      const Plan waits = plan_of(sequence_parallel, false, recomputation),
                 overlaps = plan_of(sequence_parallel, true, recomputation);
      const Status sound = verify(overlaps);
      ASSERT_TRUE(sound.ok()) << format(sound.errors());
      EXPECT_EQ(side_by_side(waits.programs.front()), 0);
      EXPECT_GE(side_by_side(overlaps.programs.front()), 2 * kLayers + 1);
      EXPECT_EQ(exchanges(overlaps.programs.front()), exchanges(waits.programs.front()));
      const auto& ops = overlaps.programs.front().ops;
      EXPECT_EQ(std::count_if(ops.begin(), ops.end(),
                              [](const Op& op) { return op.kind == OpKind::backward_weight; }),
                2 * kLayers + 1);
    }
  }
}

}  // namespace
}  // namespace rehearse
