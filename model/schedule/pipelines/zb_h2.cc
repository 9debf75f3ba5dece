#include "model/schedule/pipelines/pipelines.h"
#include "model/schedule/pipelines/weight_lag.h"

namespace rehearse::pipelines {
namespace {

std::vector<std::vector<Slot>> order(const PipelineRequest& request) {
  const PipelineShape& shape = request.shape;
  std::vector<std::vector<Slot>> ranks;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    const WeightLag numbers{2 * (shape.ranks - rank) - 1, 2 * rank + 1};
    ranks.push_back(lagging_weights(rank, shape.micro_batches, numbers));
  }
  return ranks;
}

}  // namespace

// No bubble when F = B = W and messages are free: forwards fill the time until the first backward
// arrives, 2(p - i) - 1 of them on rank i, and W_j follows B_{j+2i+1}, so that weight gradients
// fill the end (Qi et al., Zero Bubble Pipeline Parallelism, arXiv 2401.10241, section 2.2). Every
// rank keeps at most (2(p - i) - 1) + (2i + 1) = 2p activations.
PipelineSchedule zb_h2() {
  return {.name = "zb-h2",
          .help = "no bubble when F = B = W, twice the activations of 1F1B",
          .placement = Placement::loop,
          .fewest_chunks = 1,
          .most_chunks = 1,
          .splits_backward = true,
          .needs_costs = false,
          .takes_live_limit = false,
          .check = [](const PipelineShape&) { return success(); },
          .order = order};
}

}  // namespace rehearse::pipelines
