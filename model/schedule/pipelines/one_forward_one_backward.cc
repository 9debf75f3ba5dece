#include <algorithm>

#include "model/schedule/pipelines/pipelines.h"

namespace rehearse::pipelines {
namespace {

std::vector<Slot> order_of(std::int64_t rank, const PipelineShape& shape) {
  const StageId stage(rank);
  const std::int64_t warm_up = std::min(shape.ranks - rank, shape.micro_batches);
  std::vector<Slot> order;
  for (std::int64_t m = 0; m < warm_up; ++m)
    order.push_back({Task::forward, stage, MicroBatchId(m)});
  for (std::int64_t m = 0; m < shape.micro_batches; ++m) {
    order.push_back({Task::backward, stage, MicroBatchId(m)});
    if (warm_up + m < shape.micro_batches)
      order.push_back({Task::forward, stage, MicroBatchId(warm_up + m)});
  }
  return order;
}

std::vector<std::vector<Slot>> order(const PipelineRequest& request) {
  std::vector<std::vector<Slot>> ranks;
  for (std::int64_t rank = 0; rank < request.shape.ranks; ++rank)
    ranks.push_back(order_of(rank, request.shape));
  return ranks;
}

}  // namespace

// Stage s runs min(p - s, m) forwards before its first backward and then alternates, so that it
// keeps the activations of at most p - s micro-batches (Narayanan et al., PipeDream-Flush, ICML
// 2021, section 2.2).
PipelineSchedule one_forward_one_backward() {
  return {.name = "1f1b",
          .help = "one forward, one backward: at most p micro-batches' activations on p ranks",
          .placement = Placement::loop,
          .fewest_chunks = 1,
          .most_chunks = 1,
          .splits_backward = false,
          .needs_costs = false,
          .takes_live_limit = false,
          .check = [](const PipelineShape&) { return success(); },
          .order = order};
}

}  // namespace rehearse::pipelines
