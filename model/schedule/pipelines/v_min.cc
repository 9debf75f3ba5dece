#include "model/schedule/pipelines/pipelines.h"
#include "model/schedule/pipelines/v_block.h"

namespace rehearse::pipelines {
namespace {

std::vector<std::vector<Slot>> order(const PipelineRequest& request) {
  const std::int64_t p = request.shape.ranks;
  // Without this pause passes of pipelines of a multiple of three ranks would meet.
  const std::int64_t pause = p % 3 == 0 ? 2 : 0;
  std::vector<VBlock> blocks;
  for (std::int64_t rank = 0; rank < p; ++rank) {
    blocks.push_back({.forward = {rank, 2 * p - 1 - rank},
                      .backward_input = {4 * p - 1 + pause - rank, 2 * p + pause + rank}});
  }
  return repeat_blocks(request.shape, blocks);
}

}  // namespace

// A V that every micro-batch passes without waiting, which is the shortest that its activations can
// live (Qi et al., Pipeline Parallelism with Controllable Memory, arXiv 2405.15362, V-Min). The
// passes of the beginning and the end are not reordered as theirs are, but run as soon as they can
// in the block's order. Every rank keeps at most (2p + 8)/3 activations of chunks, p/3 + 4/3 of a
// rank: a micro-batch's two chunks live 4p + 2 units and two pauses on any rank, and a new one
// comes every six units.
PipelineSchedule v_min() {
  return {.name = "v-min",
          .help = "two chunks in a V: fewest activations, (p+4)/(3p) of 1F1B's; a bubble as large",
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
