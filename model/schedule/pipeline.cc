#include "model/schedule/pipeline.h"

#include <algorithm>

namespace rehearse {

std::vector<Slot> gpipe_order(std::int64_t, std::int64_t, std::int64_t micro_batches) {
  std::vector<Slot> order;
  for (std::int64_t m = 0; m < micro_batches; ++m)
    order.push_back({Pass::forward, MicroBatchId(m)});
  for (std::int64_t m = 0; m < micro_batches; ++m)
    order.push_back({Pass::backward, MicroBatchId(m)});
  return order;
}

std::vector<Slot> one_forward_one_backward_order(std::int64_t stage, std::int64_t stages,
                                                 std::int64_t micro_batches) {
  const std::int64_t warm_up = std::min(stages - stage, micro_batches);
  std::vector<Slot> order;
  for (std::int64_t m = 0; m < warm_up; ++m)
    order.push_back({Pass::forward, MicroBatchId(m)});
  for (std::int64_t m = 0; m < micro_batches; ++m) {
    order.push_back({Pass::backward, MicroBatchId(m)});
    if (warm_up + m < micro_batches) order.push_back({Pass::forward, MicroBatchId(warm_up + m)});
  }
  return order;
}

const std::vector<PipelineSchedule>& pipeline_schedules() {
  static const std::vector<PipelineSchedule> table = {
      {"1f1b", "one forward, one backward: fewest activations", one_forward_one_backward_order},
      {"gpipe", "all forwards, then all backwards", gpipe_order},
  };
  return table;
}

const PipelineSchedule* find_pipeline_schedule(std::string_view name) {
  const auto& table = pipeline_schedules();
  const auto row = std::find_if(table.begin(), table.end(), [&](const PipelineSchedule& schedule) {
    return schedule.name == name;
  });
  return row == table.end() ? nullptr : &*row;
}

}  // namespace rehearse
