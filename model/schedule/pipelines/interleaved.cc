#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "model/schedule/pipelines/pipelines.h"

namespace rehearse::pipelines {
namespace {

// The k-th forward (or backward) pass of a rank: p micro-batches go through one chunk before the
// next p v passes repeat this for the next p micro-batches. Backward visits the chunks from the
// last to the first.
Slot pass(const PipelineShape& shape, std::int64_t rank, Task task, std::int64_t k) {
  const std::int64_t round = shape.ranks * shape.chunks;
  const std::int64_t turn = k % round / shape.ranks;
  const std::int64_t chunk = task == Task::forward ? turn : shape.chunks - 1 - turn;
  const std::int64_t micro_batch = k / round * shape.ranks + k % shape.ranks;
  return {task, StageId(chunk * shape.ranks + rank), MicroBatchId(micro_batch)};
}

std::vector<Slot> order_of(std::int64_t rank, const PipelineShape& shape) {
  const std::int64_t passes = shape.chunks * shape.micro_batches;
  const std::int64_t warm_up =
      std::min(2 * (shape.ranks - rank - 1) + (shape.chunks - 1) * shape.ranks, passes);
  std::vector<Slot> order;
  for (std::int64_t k = 0; k < warm_up; ++k)
    order.push_back(pass(shape, rank, Task::forward, k));
  for (std::int64_t k = 0; k < passes; ++k) {
    if (warm_up + k < passes) order.push_back(pass(shape, rank, Task::forward, warm_up + k));
    order.push_back(pass(shape, rank, Task::backward, k));
  }
  return order;
}

std::vector<std::vector<Slot>> order(const PipelineRequest& request) {
  std::vector<std::vector<Slot>> ranks;
  for (std::int64_t rank = 0; rank < request.shape.ranks; ++rank)
    ranks.push_back(order_of(rank, request.shape));
  return ranks;
}

Status check(const PipelineShape& shape) {
  if (shape.micro_batches % shape.ranks == 0) return success();
  const std::int64_t below = shape.micro_batches / shape.ranks * shape.ranks;
  const std::string right = below == 0 ? fmt::format("{}", shape.ranks)
                                       : fmt::format("{} or {}", below, below + shape.ranks);
  return error(fmt::format(
      "interleaved needs micro-batches in multiples of the {} ranks, such as {}, not {}",
      shape.ranks, right, shape.micro_batches));
}

}  // namespace

// 1F1B over v chunks per rank, which divides the time of filling and draining by v (Narayanan et
// al., Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM, arXiv
// 2104.04473, section 2.2; the warm-up of 2(p - rank - 1) + (v - 1)p passes is Megatron-LM's). Rank
// 0 keeps (v - 1)p + 2(p - 1) + 1 activations of chunks: p(1 + (p-1)/(p v)) of a rank.
PipelineSchedule interleaved() {
  return {.name = "interleaved",
          .help = "1F1B over several chunks per rank: smaller bubble, more messages",
          .placement = Placement::loop,
          .fewest_chunks = 2,
          .most_chunks = std::numeric_limits<std::int64_t>::max(),
          .splits_backward = false,
          .needs_costs = false,
          .takes_live_limit = false,
          .check = check,
          .order = order};
}

}  // namespace rehearse::pipelines
