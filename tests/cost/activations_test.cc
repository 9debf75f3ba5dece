// What a transformer's layers keep for backward, and when a rank has most of it.

#include <gtest/gtest.h>

#include <map>

#include "cost/memory_curve.h"
#include "model/base/random.h"
#include "model/schedule/build_plan.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

struct LayerOf {
  std::int64_t s, b, h, a, t;
};

// Bytes of one layer by Korthikanti et al. (arXiv 2205.05198, Table 2), which leave out what norms
// and losses keep of each row.
double formula(const LayerOf& l, bool sequence_parallel, Recomputation recomputation) {
  const auto s = static_cast<double>(l.s), b = static_cast<double>(l.b),
             h = static_cast<double>(l.h), a = static_cast<double>(l.a),
             t = static_cast<double>(l.t);
  const double sbh = s * b * h;
  if (recomputation == Recomputation::full) return 2 * sbh / (sequence_parallel ? t : 1);
  const double attention = recomputation == Recomputation::none ? 5 * a * s / h : 0;
  if (sequence_parallel) return sbh * (34 + attention) / t;
  return sbh * (10 + 24 / t + attention / t);
}

// Bytes that are alive after the forward of one layer of the middle, and were not before it.
Bytes kept_by_a_layer(const LayerOf& l, bool sequence_parallel, Recomputation recomputation) {
  const ModelSpec model{"gpt",
                        {{"layers", {4}},
                         {"width", {l.h}},
                         {"heads", {l.a}},
                         {"sequence", {l.s}},
                         {"positions", {l.s}},
                         {"vocabulary", {512}},
                         {"fused", {0}},
                         {"dropout", {100'000}},
                         {"attention_dropout", {100'000}},
                         {"kernels", {static_cast<std::int64_t>(Kernels::megatron)}}}};
  StrategySpec strategy;
  strategy.name = "tensor";
  strategy.data = 2;  // with a bucket for each parameter, so that ops end with their segments
  strategy.bucket = Bytes::bytes(1);
  if (l.t > 1) strategy.tensor = TensorSpec{l.t, sequence_parallel};
  strategy.recomputation = recomputation;
  Training training = testing::training(2 * l.b);
  training.dtype = DataType::bf16;
  const Plan plan = build_plan(strategy, model, training, 2 * l.t, even_costs(6)).value();
  const Net net = *whole_net(plan);
  const RankProgram& program = plan.programs.front();
  // After the forward ops, by the segment they end before: ops may span two layers.
  std::map<SegmentId, Bytes> kept;
  Bytes live;
  for (const Op& op : program.ops) {
    for (const Operand& operand : op.operands) {
      if (operand.allocates) live += program.buffers[operand.buffer.index()].size;
    }
    for (const Operand& operand : op.operands) {
      if (operand.frees) live -= program.buffers[operand.buffer.index()].size;
    }
    if (op.kind == OpKind::forward) kept[compute_of(op).end] = live;
  }
  const SegmentId second = begin_of(net, BlockId(2)), third = begin_of(net, BlockId(3));
  const auto [end, before] = *kept.upper_bound(second);
  return kept.at(SegmentId(end.value() + third.value() - second.value())) - before;
}

TEST(Activations, AreThoseOfKorthikantiEtAl) {
  Random random(3);
  for (int round = 0; round < 8; ++round) {
    const std::int64_t t = std::int64_t{1} << random.below(4);
    const std::int64_t a = 8 * static_cast<std::int64_t>(1 + random.below(4));
    const LayerOf layer{128 * static_cast<std::int64_t>(1 + random.below(4)),
                        1 + static_cast<std::int64_t>(random.below(4)), 128 * a, a, t};
    for (const bool sequence_parallel : {false, true}) {
      if (sequence_parallel && t == 1) continue;
      for (const Recomputation recomputation :
           {Recomputation::none, Recomputation::selective, Recomputation::full}) {
        const Bytes kept = kept_by_a_layer(layer, sequence_parallel, recomputation);
        // Two numbers of four bytes for each row of either norm.
        const bool has_norms = recomputation != Recomputation::full;
        const std::int64_t rows = layer.s * layer.b / (sequence_parallel ? t : 1);
        EXPECT_NEAR(static_cast<double>(kept.bytes() - (has_norms ? 16 * rows : 0)),
                    formula(layer, sequence_parallel, recomputation), 4096)
            << t << sequence_parallel << to_string(recomputation);
      }
    }
  }
}

// Ours draw masks again and keep probabilities in fp32.
TEST(Activations, OfOurKernelsHaveNoMasks) {
  const auto block = [](Kernels kernels, double rate) {
    const auto share = static_cast<std::int64_t>(rate * kMillionths);
    const Net net = build_net({"gpt",
                               {{"layers", {1}},
                                {"width", {64}},
                                {"heads", {4}},
                                {"sequence", {32}},
                                {"positions", {32}},
                                {"vocabulary", {64}},
                                {"fused", {0}},
                                {"dropout", {share}},
                                {"kernels", {static_cast<std::int64_t>(kernels)}}}})
                        .value();
    const Lowering lowering =
        lower(net, begin_of(net, BlockId(1)), end_of(net, BlockId(1)), Pass::forward, 2, {2, 4});
    return lowering.saved.bytes();
  };
  EXPECT_EQ(block(Kernels::own, 0), block(Kernels::own, 0.1));
  // Two masks of 2 x 32 x 64 bytes; 2 x 4 x 32 x 32 probabilities in 2 bytes instead of 4.
  EXPECT_EQ(block(Kernels::megatron, 0.1), block(Kernels::own, 0) + 2 * 4096 - 2 * 8192);
}

TEST(MemoryCurve, HasItsPeakWhereMostIsAlive) {
  for (const testing::PlanCase& c : testing::all_cases()) {
    const Plan plan = testing::plan_of(c).value();
    for (const RankProgram& program : plan.programs) {
      const MemoryCurve curve = memory_curve(program);
      ASSERT_EQ(curve.live.size(), program.ops.size());
      Bytes alive;
      for (const AliveBuffers& buffers : curve.alive) {
        alive += buffers.size;
        EXPECT_LE(buffers.micro_batches, program.micro_batches) << c.name;
      }
      EXPECT_EQ(alive, curve.most()) << c.name;
      for (const Bytes live : curve.live) {
        EXPECT_LE(live, curve.most()) << c.name;
        EXPECT_GE(live, curve.state) << c.name;
      }
    }
  }
}

// Of the four stages of 1F1B the first keeps four micro-batches, the last one.
TEST(MemoryCurve, CountsTheMicroBatchesOfAPipeline) {
  for (const testing::PlanCase& c : testing::all_cases()) {
    if (c.name != "1f1b") continue;
    const Plan plan = testing::plan_of(c).value();
    for (std::size_t p = 0; p < plan.programs.size(); ++p) {
      for (const AliveBuffers& buffers : memory_curve(plan.programs[p]).alive) {
        if (buffers.kind != BufferKind::saved) continue;
        EXPECT_EQ(buffers.micro_batches, static_cast<std::int64_t>(plan.programs.size() - p));
      }
    }
  }
}

}  // namespace
}  // namespace rehearse
