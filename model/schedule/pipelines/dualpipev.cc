#include <fmt/format.h>

#include "model/schedule/pipelines/pipelines.h"

namespace rehearse::pipelines {
namespace {

// Appends passes to a rank's list; each chunk counts its micro-batches.
class Passes {
 public:
  Passes(std::int64_t rank, const PipelineShape& shape)
      : stages_(stages_of(shape, static_cast<std::size_t>(rank))) {}

  void forward(std::size_t chunk) {
    order_.push_back({Task::forward, stages_[chunk], MicroBatchId(forwards_[chunk]++)});
  }
  void backward(std::size_t chunk) {
    order_.push_back({Task::backward, stages_[chunk], MicroBatchId(backwards_[chunk]++)});
  }
  void input(std::size_t chunk) {
    const Slot slot{Task::backward_input, stages_[chunk], MicroBatchId(backwards_[chunk]++)};
    order_.push_back(slot);
    owed_.push_back({Task::backward_weight, slot.stage, slot.micro_batch});
  }
  // The oldest weight gradients whose input gradients went ahead.
  void weight() { order_.push_back(owed_[paid_++]); }
  std::vector<Slot> take() { return std::move(order_); }

 private:
  std::vector<StageId> stages_;
  std::int64_t forwards_[2] = {}, backwards_[2] = {};
  std::vector<Slot> order_, owed_;
  std::size_t paid_ = 0;
};

void fill(Passes& passes, std::int64_t p, std::int64_t rank) {
  for (std::int64_t i = 0; i < 2 * (p - rank - 1); ++i)
    passes.forward(0);
  for (std::int64_t i = 0; i < rank + 1; ++i) {
    passes.forward(0);
    passes.forward(1);
  }
  for (std::int64_t i = 0; i < p - rank - 1; ++i) {
    passes.input(1);
    passes.weight();
    passes.forward(1);
  }
}

// Where DeepSeek's program overlaps a forward with a backward, the forward stands first.
void alternate(Passes& passes, std::int64_t p, std::int64_t rank, std::int64_t micro_batches) {
  for (std::int64_t i = 0; i < micro_batches - 2 * p + rank + 1; ++i) {
    passes.forward(0);
    passes.backward(1);
    passes.forward(1);
    passes.backward(0);
  }
  for (std::int64_t i = 0; i < p - rank - 1; ++i) {
    passes.backward(1);
    passes.forward(1);
    passes.backward(0);
  }
}

void drain(Passes& passes, std::int64_t p, std::int64_t rank) {
  // The later half of these 2(rank + 1) backwards owe their weight gradients.
  for (std::int64_t i = 0; i < 2 * (rank + 1); ++i) {
    const std::size_t chunk = i % 2 == 0 ? 1 : 0;
    i < rank + 1 ? passes.backward(chunk) : passes.input(chunk);
  }
  for (std::int64_t i = 0; i < p - rank - 1; ++i) {
    passes.weight();
    passes.input(0);
  }
  for (std::int64_t i = 0; i < rank + 1; ++i)
    passes.weight();
}

std::vector<std::vector<Slot>> order(const PipelineRequest& request) {
  const PipelineShape& shape = request.shape;
  std::vector<std::vector<Slot>> ranks;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    Passes passes(rank, shape);
    fill(passes, shape.ranks, rank);
    alternate(passes, shape.ranks, rank, shape.micro_batches);
    drain(passes, shape.ranks, rank);
    ranks.push_back(passes.take());
  }
  return ranks;
}

Status check(const PipelineShape& shape) {
  if (shape.micro_batches >= 2 * shape.ranks) return success();
  return error(fmt::format("dualpipev needs at least {} micro-batches (two per rank), got {}",
                           2 * shape.ranks, shape.micro_batches));
}

}  // namespace

// DualPipe cut in half: its two directions become the two chunks of a V, so that each rank holds
// half of what DualPipe's ranks do (DeepSeek-AI, DualPipe, github.com/deepseek-ai/DualPipe, README
// "DualPipeV" and the eight steps of dualpipe/dualpipev.py; DeepSeek-V3 Technical Report, arXiv
// 2412.19437, section 3.2.1). Backwards are whole but where splitting them fills a bubble. Every
// rank keeps at most 2p + 1 activations of chunks: p + 1/2 of a rank.
PipelineSchedule dualpipev() {
  return {.name = "dualpipev",
          .help = "two chunks in a V, forwards and backwards in pairs that overlap messages",
          .placement = Placement::vee,
          .fewest_chunks = 2,
          .most_chunks = 2,
          .splits_backward = true,
          .needs_costs = false,
          .takes_live_limit = false,
          .check = check,
          .order = order};
}

}  // namespace rehearse::pipelines
