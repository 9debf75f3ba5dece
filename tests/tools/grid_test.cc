#include "tools/summary/grid.h"

#include <gtest/gtest.h>

#include "model/plan/plan_text.h"
#include "model/schedule/plan_actions.h"
#include "model/schedule/strategies.h"
#include "tests/scenario/files.h"
#include "tests/schedule/plans.h"
#include "tools/predict/predict.h"

namespace rehearse {
namespace {

ScheduleTable table_of(const std::string& schedule, std::int64_t ranks,
                       std::int64_t micro_batches) {
  PipelineRequest request;
  const PipelineSchedule* row = find_pipeline_schedule(schedule);
  request.shape = {ranks, row->fewest_chunks, micro_batches, row->placement};
  return {add_messages(request.shape, row->order(request)), true};
}

// Figure 4 (top) of Narayanan et al. 2021 with two stages: a backward takes two columns.
TEST(Grid, IsThePictureOfThePapers) {
  EXPECT_EQ(print_grid(table_of("1f1b", 2, 3)),
            "rank 0   F0 F1 .  .  B0 =  F2 B1 =  .  B2 =\n"
            "rank 1   .  F0 B0 =  F1 B1 =  F2 B2 =  .  .\n");
}

// Figure 1 of Qi et al. 2401.10241 in small: weight gradients apart.
TEST(Grid, ShowsSplitBackwards) {
  const std::string grid = print_grid(table_of("zb-h1", 2, 2));
  EXPECT_NE(grid.find("I0 W0"), std::string::npos) << grid;
}

// What a plan is made of can be read back from it: passes and messages in the order they were in.
TEST(PlanActions, AreThoseThePlanWasBuiltFrom) {
  for (const PipelineSchedule& schedule : pipeline_schedules()) {
    if (schedule.needs_costs) continue;
    SCOPED_TRACE(schedule.name);
    const ScheduleTable table = table_of(std::string(schedule.name), 2, 4);
    StrategySpec strategy = testing::pipeline(std::string(schedule.name), 2, 4);
    const Result<Plan> plan = testing::plan_of({"", strategy, testing::mlp(), 2}, 8);
    ASSERT_TRUE(plan.ok()) << format(plan.errors());
    EXPECT_EQ(schedule_of(*plan).ranks, table.ranks);
  }
}

// Passes around which sharded parameters are gathered, and one reduction per stage.
TEST(PlanActions, SayWhatShardingAdds) {
  StrategySpec strategy = testing::pipeline("1f1b", 2, 2);
  strategy.sharding = Sharding::parameters;
  const Result<Plan> plan = testing::plan_of({"", strategy, testing::mlp(), 4}, 8);
  ASSERT_TRUE(plan.ok()) << format(plan.errors());
  EXPECT_EQ(print_schedule_csv(schedule_of(*plan)),
            "0UNSHARD,0F0,0RESHARD,0SEND_F0,0RECV_B0,0UNSHARD,0F1,0RESHARD,0SEND_F1,0RECV_B1,"
            "0UNSHARD,0B0,0RESHARD,0UNSHARD,0B1,0RESHARD,0REDUCE_GRAD\n"
            "1RECV_F0,1UNSHARD,1F0,1RESHARD,1RECV_F1,1UNSHARD,1B0,1RESHARD,1SEND_B0,1UNSHARD,1F1,"
            "1RESHARD,1UNSHARD,1B1,1RESHARD,1REDUCE_GRAD,1SEND_B1\n");
}

StrategySpec piped_workers() {
  StrategySpec strategy = testing::subnetwork({1, 2}, 2);
  strategy.pipeline = PipelineSpec{4, "1f1b", 4};
  return strategy;
}

// Workers of a pipeline with dropped stages: the schedule is that of the whole one, and each
// worker's picture shows what it runs of it.
TEST(PlanActions, FollowTheScheduleWhereStagesAreDropped) {
  const ModelSpec gpt = testing::small_gpt(4);
  const Result<Plan> whole = testing::plan_of({"", testing::pipeline("1f1b", 4, 4), gpt, 4}, 8);
  const Result<Plan> parts = testing::plan_of({"", piped_workers(), gpt, 8}, 8);
  ASSERT_TRUE(whole.ok() && parts.ok());
  const ScheduleTable table = schedule_of(*parts);
  EXPECT_TRUE(shape_of(table).ok());
  EXPECT_EQ(without_messages(table).ranks, without_messages(schedule_of(*whole)).ranks);

  const std::vector<PlanPipeline> pipelines = pipelines_of(*parts);
  ASSERT_EQ(pipelines.size(), 2u);
  std::size_t idle = 0;
  for (const PlanPipeline& pipeline : pipelines) {
    for (const auto& rank : without_messages(pipeline.table).ranks)
      idle += rank.empty() ? 1 : 0;
  }
  EXPECT_GT(idle, 0u) << "no stage is dropped whole";
  const std::string grid = print_grid(*parts);
  EXPECT_NE(grid.find("\n\nrank 4  "), std::string::npos) << grid;
  // All passes are in it: four forwards and backwards on each rank that has any.
  const auto cells = [&](std::string_view cell) {
    std::size_t count = 0;
    for (std::size_t at = grid.find(cell); at != std::string::npos; at = grid.find(cell, at + 1))
      ++count;
    return count;
  };
  for (const std::string_view cell : {"F0", "F3", "B0", "B3"})
    EXPECT_EQ(cells(cell), 8 - idle) << grid;
}

// Whatever the schedule and however stages are dropped, what is read back can be followed.
TEST(PlanActions, OfDroppedStagesNeverDeadlock) {
  for (const PipelineSchedule& schedule : pipeline_schedules()) {
    for (const std::int64_t layers : {4, 5, 8}) {
      const ModelSpec gpt = testing::small_gpt(layers);
      StrategySpec strategy = testing::subnetwork({1, 2}, 4);
      strategy.pipeline = PipelineSpec{3, std::string(schedule.name), 6};
      const Result<Plan> plan = testing::plan_of({"", strategy, gpt, 12}, 24);
      if (!plan) continue;  // more stages than blocks
      const auto shape = shape_of(schedule_of(*plan));
      EXPECT_TRUE(shape.ok()) << schedule.name << ", " << layers
                              << " layers: " << (shape ? "" : format(shape.errors()));
    }
  }
}

// Every example that `rehearse strategies` prints is a strategy that can be predicted.
class StrategyExample : public ::testing::TestWithParam<StrategyRow> {};

TEST_P(StrategyExample, IsPredicted) {
  const std::string text = fmt::format(
      "name: example\n"
      "model: {{kind: gpt, layers: 14, width: 32, heads: 4, sequence: 16, positions: 16, "
      "vocabulary: "
      "64}}\n"
      "training: {{data: synthetic, batch: 64, optimizer: {{kind: sgd, lr: 0.1}}, steps: 10}}\n"
      "cluster: {{device: a100-sxm-80gb, devices_per_node: {}}}\n"
      "strategies:\n  - {{name: x, {}}}\n",
      kExampleDevices, GetParam().example);
  const Result<Scenario> scenario =
      parse_scenario(text, "example.yaml", testing::shipped_profiles());
  ASSERT_TRUE(scenario.ok()) << format(scenario.errors());
  const Result<Prediction> prediction = predict(*scenario, scenario->strategies.front());
  ASSERT_TRUE(prediction.ok()) << format(prediction.errors());
  EXPECT_GT(prediction->summary.step_time, Seconds{});
  const Result<ParsedPlan> again = parse_plan(print(prediction->plan), "plan.txt");
  ASSERT_TRUE(again.ok()) << format(again.errors());
  EXPECT_EQ(plan_hash(again->plan), plan_hash(prediction->plan));
}

INSTANTIATE_TEST_SUITE_P(Rows, StrategyExample, ::testing::ValuesIn(strategy_rows()),
                         [](const auto& row) {
                           std::string name = row.param.name;
                           std::erase_if(name, [](char c) { return !std::isalnum(c); });
                           return name;
                         });

}  // namespace
}  // namespace rehearse
