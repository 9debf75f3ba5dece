#include "model/schedule/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace rehearse {
namespace {

std::string letters(const std::vector<Slot>& order) {
  std::string text;
  for (const Slot& slot : order) {
    text +=
        (slot.task == Task::forward ? "F" : "B") + std::to_string(slot.micro_batch.value()) + " ";
  }
  return text;
}

// Figure 2 of Huang et al. (with micro-batches in one order) and figure 4 of Narayanan et al. 2021.
std::vector<Slot> order_of(std::string_view schedule, std::int64_t stage, std::int64_t stages,
                           std::int64_t micro_batches) {
  PipelineRequest request;
  request.shape = {stages, 1, micro_batches, Placement::loop};
  return find_pipeline_schedule(schedule)->order(request)[static_cast<std::size_t>(stage)];
}

TEST(Pipeline, OrdersOfThePapers) {
  EXPECT_EQ(letters(order_of("gpipe", 1, 3, 3)), "F0 F1 F2 B0 B1 B2 ");
  EXPECT_EQ(letters(order_of("1f1b", 0, 3, 4)), "F0 F1 F2 B0 F3 B1 B2 B3 ");
  EXPECT_EQ(letters(order_of("1f1b", 1, 3, 4)), "F0 F1 B0 F2 B1 F3 B2 B3 ");
  EXPECT_EQ(letters(order_of("1f1b", 2, 3, 4)), "F0 B0 F1 B1 F2 B2 F3 B3 ");
}

std::int64_t most_in_flight(const std::vector<Slot>& order) {
  std::int64_t now = 0, most = 0;
  for (const Slot& slot : order) {
    now += slot.task == Task::forward ? 1 : -1;
    most = std::max(most, now);
  }
  return most;
}

// Every schedule runs each pass once, forward first; 1F1B keeps min(p - s, m) micro-batches, GPipe
// m.
TEST(Pipeline, EverySchedulePassesEveryMicroBatchOnce) {
  for (const PipelineSchedule& schedule : pipeline_schedules()) {
    for (const std::int64_t stages : {1, 2, 5}) {
      for (const std::int64_t micro_batches : {1, 3, 8}) {
        for (std::int64_t stage = 0; stage < stages; ++stage) {
          const auto order = order_of(schedule.name, stage, stages, micro_batches);
          ASSERT_EQ(static_cast<std::int64_t>(order.size()), 2 * micro_batches);
          for (std::int64_t m = 0; m < micro_batches; ++m) {
            const auto forward = std::find(order.begin(), order.end(),
                                           Slot{Task::forward, StageId(stage), MicroBatchId(m)});
            const auto backward = std::find(order.begin(), order.end(),
                                            Slot{Task::backward, StageId(stage), MicroBatchId(m)});
            EXPECT_TRUE(forward < backward && backward != order.end()) << schedule.name;
          }
          const std::int64_t most =
              schedule.name == "1f1b" ? std::min(stages - stage, micro_batches) : micro_batches;
          EXPECT_EQ(most_in_flight(order), most) << schedule.name;
        }
      }
    }
  }
}

TEST(Pipeline, TableIsSorted) {
  const auto& table = pipeline_schedules();
  EXPECT_TRUE(
      std::is_sorted(table.begin(), table.end(), [](auto& a, auto& b) { return a.name < b.name; }));
  EXPECT_EQ(find_pipeline_schedule("zigzag"), nullptr);
}

}  // namespace
}  // namespace rehearse
