// Replicas that train each for itself, and how they come together.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "model/plan/verify.h"
#include "model/schedule/build_plan.h"
#include "tests/schedule/plans.h"
#include "tests/schedule/resnet_plan.h"

namespace rehearse {
namespace {

// Between synchronisations replicas have nothing to do with one another; the plan of the last step
// is the same but for what comes after the updates.
TEST(LocalSteps, ExchangeNothing) {
  for (const auto& outer : {std::optional<OuterOptimizer>(), std::optional(OuterOptimizer{})}) {
    const Plan between =
        testing::resnet_plan(testing::local(testing::data_parallel(), 8, outer, false));
    const Plan last = testing::resnet_plan(testing::local(testing::data_parallel(), 8, outer));
    const RankProgram& program = between.programs[0];
    for (const Op& op : program.ops)
      EXPECT_FALSE(is_communication(op.kind)) << to_string(op.kind);
    for (const OpKind kind : {OpKind::outer_gradient, OpKind::outer_step})
      EXPECT_TRUE(testing::ops_of(program, kind).empty());
    // Backward is cut nowhere: no bucket becomes complete in it.
    EXPECT_EQ(testing::ops_of(program, OpKind::backward).size(), 1u);
    const auto& ops = last.programs[0].ops;
    ASSERT_GT(ops.size(), program.ops.size());
    for (std::size_t op = 0; op < program.ops.size(); ++op)
      EXPECT_EQ(ops[op].kind, program.ops[op].kind);
    EXPECT_EQ(ops[program.ops.size()].kind, OpKind::outer_gradient);
    EXPECT_EQ(ops.back().kind, OpKind::outer_step);
  }
}

// What lasts is in both plans of a period, and only an outer optimizer adds to it.
TEST(LocalSteps, BothPlansOfAPeriodKeepTheSame) {
  const auto kept = [](const Plan& plan) {
    std::vector<std::pair<BufferKind, Bytes>> kept;
    for (const Buffer& buffer : plan.programs[0].buffers) {
      if (is_persistent(buffer.kind)) kept.emplace_back(buffer.kind, buffer.size);
    }
    return kept;
  };
  const StrategySpec ddp = testing::data_parallel();
  for (const auto& outer : {std::optional<OuterOptimizer>(), std::optional(OuterOptimizer{})})
    EXPECT_EQ(kept(testing::resnet_plan(testing::local(ddp, 8, outer, false))),
              kept(testing::resnet_plan(testing::local(ddp, 8, outer))));
  EXPECT_EQ(kept(testing::resnet_plan(testing::local(ddp, 8))), kept(testing::resnet_plan(ddp)));
  auto with_anchor = kept(testing::resnet_plan(ddp));
  // Anchor and momentum: twice the weights.
  with_anchor.emplace_back(BufferKind::outer_state, 2 * with_anchor[0].second);
  EXPECT_EQ(kept(testing::resnet_plan(testing::local(ddp, 8, OuterOptimizer{}))), with_anchor);
}

// Two classes: while the first one's average is under way the second is updated, and no average
// waits for an outer step.
TEST(LocalSteps, AveragesOverlapUpdates) {
  const Plan plan =
      testing::resnet_plan(testing::local(testing::subnetwork({1, 2}), 8, OuterOptimizer{}));
  for (const RankProgram& program : plan.programs) {
    const std::size_t first_average = testing::ops_of(program, OpKind::all_reduce).front();
    const auto updates = testing::ops_of(program, OpKind::optimizer_step);
    ASSERT_GT(updates.size(), 1u);
    const auto& after = program.ops[first_average].after;
    EXPECT_TRUE(
        std::all_of(after.begin(), after.end(), [&](OpId op) { return op.index() < updates[1]; }));
    EXPECT_LT(updates.back(), testing::ops_of(program, OpKind::outer_step).front());
    for (const std::size_t average : testing::ops_of(program, OpKind::all_reduce)) {
      for (const OpId op : program.ops[average].after)
        EXPECT_NE(program.ops[op.index()].kind, OpKind::outer_step);
    }
  }
}

TEST(LocalSteps, SaysWhichAreImpossible) {
  const auto problem = [](const StrategySpec& strategy, std::int64_t devices = 4,
                          const ModelSpec& model = testing::resnet20(),
                          Training training = testing::training()) {
    const auto plan =
        build_plan(strategy, model, training, devices, even_costs(build_net(model)->blocks.size()));
    return plan.ok() ? "" : plan.errors().front().message.substr(0, 40);
  };
  const StrategySpec ddp = testing::data_parallel();
  EXPECT_EQ(problem(testing::local(ddp, 8)), "");
  EXPECT_EQ(problem(testing::local(ddp, 1, OuterOptimizer{})),
            "an outer optimizer moves what several lo");
  EXPECT_EQ(problem(testing::local(testing::accumulation(2), 8), 1),
            "there is one replica: it has nobody to c");
  StrategySpec zero = ddp;
  zero.sharding = Sharding::optimizer_state;
  EXPECT_EQ(problem(testing::local(zero, 8)), "ZeRO's shards need the gradients of ever");
  const StrategySpec backward = testing::masked_backward(testing::subnetwork({1, 2}));
  EXPECT_EQ(problem(testing::local(backward, 8)), "under backward masking those who only re");
  EXPECT_EQ(problem(testing::local(testing::masked_backward(testing::subnetwork({1, 1})), 8)), "");
  StrategySpec over_all = testing::subnetwork({1, 2});
  over_all.subnetwork->averaging = Averaging::all;
  EXPECT_EQ(problem(testing::local(over_all, 8)), "with local steps weights are averaged, o");
  StrategySpec redrawn = testing::subnetwork({1, 2});
  redrawn.subnetwork->redraw = 12;
  EXPECT_EQ(problem(testing::local(redrawn, 8)), "holders' copies differ between synchroni");
  EXPECT_EQ(problem(testing::local(redrawn, 6)), "");
  Training exact = testing::training(), rounded = testing::training();
  exact.reduction = Reduction::exact;
  rounded.dtype = DataType::bf16;
  EXPECT_EQ(problem(testing::local(ddp, 8), 4, testing::resnet20(), exact),
            "with local steps nobody adds up the grad");
  EXPECT_EQ(problem(testing::local(ddp, 8), 4, testing::resnet20(), rounded),
            "weights averaged in bf16 would lose the ");
  EXPECT_EQ(problem(testing::local(ddp, 8, OuterOptimizer{1, 0}), 4, testing::resnet20(), rounded),
            "");
}

// What ranks of one replica have terms of is summed in every step, so it must not reach beyond it.
TEST(LocalSteps, NeedReplicasThatKeepToThemselves) {
  const ModelSpec tied = {"gpt",
                          {{"layers", {4}},
                           {"width", {32}},
                           {"heads", {4}},
                           {"vocabulary", {96}},
                           {"sequence", {16}},
                           {"positions", {16}}}};
  const auto problem = [&](StrategySpec strategy) {
    const auto plan = testing::plan_of({"", testing::local(strategy, 4), tied, 4});
    if (plan) {
      EXPECT_TRUE(verify(*plan).ok());
      return std::string();
    }
    return plan.errors().front().message.substr(0, 40);
  };
  EXPECT_EQ(problem(testing::pipeline("1f1b", 2, 2)), "embedding.token.weight is used by the fi");
  // In a V both ends stand on one rank.
  EXPECT_EQ(problem(testing::pipeline("zb-v", 2, 4)), "");
  StrategySpec tensor = testing::data_parallel();
  tensor.tensor = TensorSpec{2, false};
  EXPECT_EQ(problem(tensor), "");
  tensor.tensor = TensorSpec{2, true};
  EXPECT_EQ(problem(tensor), "sequence-parallel ranks add up the gradi");
}

}  // namespace
}  // namespace rehearse
