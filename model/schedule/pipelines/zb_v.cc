#include <algorithm>

#include "model/schedule/pipelines/pipelines.h"

namespace rehearse::pipelines {
namespace {

// Appends passes to a rank's list; each kind counts its own micro-batches.
class Chunks {
 public:
  Chunks(std::int64_t rank, const PipelineShape& shape)
      : stages_(stages_of(shape, static_cast<std::size_t>(rank))),
        micro_batches_(shape.micro_batches) {}

  void forward(std::size_t chunk) { add(Task::forward, chunk, forwards_[chunk]++); }
  void input(std::size_t chunk) { add(Task::backward_input, chunk, inputs_[chunk]++); }
  void weight(std::size_t chunk) { add(Task::backward_weight, chunk, weights_[chunk]++); }
  void input_and_weight(std::size_t chunk) {
    input(chunk);
    weight(chunk);
  }
  std::int64_t forwards(std::size_t chunk) const { return forwards_[chunk]; }
  std::int64_t owed_weights(std::size_t chunk) const { return inputs_[chunk] - weights_[chunk]; }
  std::vector<Slot> take() { return std::move(order_); }

 private:
  // The rule is written for enough micro-batches; those beyond the last are not there.
  void add(Task task, std::size_t chunk, std::int64_t m) {
    if (m < micro_batches_) order_.push_back({task, stages_[chunk], MicroBatchId(m)});
  }

  std::vector<StageId> stages_;
  std::int64_t micro_batches_;
  std::int64_t forwards_[2] = {}, inputs_[2] = {}, weights_[2] = {};
  std::vector<Slot> order_;
};

std::vector<Slot> order_of(std::int64_t rank, const PipelineShape& shape) {
  const std::int64_t p = shape.ranks, m = std::max(shape.micro_batches, 2 * p - 1);
  Chunks chunks(rank, shape);
  for (std::int64_t i = 0; i < 2 * (p - rank) - 1; ++i)
    chunks.forward(0);
  for (std::int64_t i = 0; i < rank; ++i) {
    chunks.forward(1);
    chunks.forward(0);
  }
  for (std::int64_t i = 0; i < p - rank; ++i) {
    chunks.forward(1);
    chunks.input_and_weight(1);
  }
  while (chunks.forwards(1) < m) {
    if (chunks.forwards(0) < m) chunks.forward(0);
    chunks.input_and_weight(0);
    chunks.forward(1);
    chunks.input_and_weight(1);
  }
  for (std::int64_t i = 0; i < rank; ++i) {
    chunks.input(0);
    chunks.input(1);
  }
  for (std::int64_t i = 0; i < p - rank; ++i)
    chunks.input_and_weight(0);
  for (const std::size_t chunk : {1u, 0u}) {
    while (chunks.owed_weights(chunk) > 0)
      chunks.weight(chunk);
  }
  return chunks.take();
}

std::vector<std::vector<Slot>> order(const PipelineRequest& request) {
  std::vector<std::vector<Slot>> ranks;
  for (std::int64_t rank = 0; rank < request.shape.ranks; ++rank)
    ranks.push_back(order_of(rank, request.shape));
  return ranks;
}

}  // namespace

// Two chunks in a V, so that the last stage stands on the first rank and backward starts there at
// once: no bubble when F = B = W and messages are free (Qi et al., Pipeline Parallelism with
// Controllable Memory, arXiv 2405.15362, section 3; the handcrafted order of ZB-V). Every rank
// keeps at most (2(p - rank) - 1) + 2 rank + 1 = 2p activations of chunks: p of a rank, as 1F1B.
PipelineSchedule zb_v() {
  return {.name = "zb-v",
          .help = "two chunks in a V: no bubble when F = B = W, activations of 1F1B",
          .placement = Placement::vee,
          .fewest_chunks = 2,
          .most_chunks = 2,
          .splits_backward = true,
          .needs_costs = false,
          .takes_live_limit = false,
          .check = [](const PipelineShape&) { return success(); },
          .order = order};
}

}  // namespace rehearse::pipelines
