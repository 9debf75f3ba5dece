#include "model/schedule/pipelines/pipelines.h"
#include "model/schedule/pipelines/weight_lag.h"

namespace rehearse::pipelines {
namespace {

std::vector<std::vector<Slot>> order(const PipelineRequest& request) {
  const PipelineShape& shape = request.shape;
  std::vector<std::vector<Slot>> ranks;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank)
    ranks.push_back(lagging_weights(rank, shape.micro_batches, {shape.ranks - rank, rank}));
  return ranks;
}

}  // namespace

// 1F1B with split backwards: rank i runs p - i forwards before its first backward and W_j after
// B_{j+i}, which fills the bubbles of the end with weight gradients (Qi et al., Zero Bubble
// Pipeline Parallelism, arXiv 2401.10241, section 2.1). Every rank keeps at most (p - i) + i = p
// activations, as many as rank 0 of 1F1B.
PipelineSchedule zb_h1() {
  return {.name = "zb-h1",
          .help = "1F1B with weight gradients in its bubbles: what they need is kept longer",
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
