#include "model/schedule/pipelines/pipelines.h"

namespace rehearse::pipelines {
namespace {

std::vector<std::vector<Slot>> order(const PipelineRequest& request) {
  const PipelineShape& shape = request.shape;
  std::vector<std::vector<Slot>> ranks(static_cast<std::size_t>(shape.ranks));
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    for (const Task task : {Task::forward, Task::backward}) {
      for (std::int64_t m = 0; m < shape.micro_batches; ++m)
        ranks[rank].push_back({task, StageId(rank), MicroBatchId(m)});
    }
  }
  return ranks;
}

}  // namespace

// All forwards, then all backwards, both in the order of the micro-batches, in which gradients are
// then added as gradient accumulation adds them (Huang et al., GPipe, NeurIPS 2019, section 2.3).
// Keeps the activations of every micro-batch.
PipelineSchedule gpipe() {
  return {.name = "gpipe",
          .help = "all forwards, then all backwards",
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
