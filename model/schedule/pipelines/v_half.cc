#include "model/schedule/pipelines/pipelines.h"
#include "model/schedule/pipelines/v_block.h"

namespace rehearse::pipelines {
namespace {

std::vector<std::vector<Slot>> order(const PipelineRequest& request) {
  const std::int64_t p = request.shape.ranks;
  // Without this pause passes of even pipelines would meet.
  const std::int64_t pause = p % 2 == 0 ? 3 : 0;
  std::vector<VBlock> blocks;
  for (std::int64_t rank = 0; rank < p; ++rank) {
    blocks.push_back({.forward = {2 * rank, 3 * p - 2 - rank},
                      .backward_input = {6 * p - 2 + pause - rank, 3 * p - 1 + pause + 2 * rank}});
  }
  return repeat_blocks(request.shape, blocks);
}

}  // namespace

// A V in which forwards of chunk 0 come down a rank every second unit, so that the time between F
// and B, and with it memory, is half of ZB-V's (Qi et al., Pipeline Parallelism with Controllable
// Memory, arXiv 2405.15362, V-Half). The passes of the beginning and the end are not reordered as
// theirs are, but run as soon as they can in the block's order. Every rank keeps at most p + 2
// activations of chunks, p/2 + 1 of a rank: a micro-batch's two chunks live 6p + 1 units and two
// pauses on any rank, and a new one comes every six units.
PipelineSchedule v_half() {
  return {.name = "v-half",
          .help = "two chunks in a V: (p+2)/(2p) of the activations of 1F1B, less bubble",
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
