#include "model/schedule/pipelines/weight_lag.h"

#include <algorithm>

namespace rehearse::pipelines {

std::vector<Slot> lagging_weights(std::int64_t rank, std::int64_t micro_batches,
                                  WeightLag numbers) {
  std::vector<Slot> order;
  const auto add = [&](Task task, std::int64_t m) {
    if (m >= 0 && m < micro_batches) order.push_back({task, StageId(rank), MicroBatchId(m)});
  };
  for (std::int64_t m = 0; m < numbers.warm_up; ++m)
    add(Task::forward, m);
  // The last weight gradients follow the last input gradient, which nothing may delay.
  for (std::int64_t m = 0; m < micro_batches + numbers.lag; ++m) {
    add(Task::backward_input, m);
    add(Task::backward_weight, m - numbers.lag);
    add(Task::forward, m + numbers.warm_up);
  }
  return order;
}

}  // namespace rehearse::pipelines
