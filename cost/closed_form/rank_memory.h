// What a rank needs beside its arena, and the least it needs of all.
#pragma once

#include <cstdint>

#include "cost/closed_form/estimate_tables.h"

namespace rehearse {

struct PlacedRank {
  const Mesh& mesh;
  std::size_t rank = 0;  // of the pipeline
  bool wraps = false;    // ranks have several stages, so that the last one's go on on the first
};
// The arena's live bytes and what the libraries have beside it. stand_ins: of gradients
// (cost/memory.h).
std::int64_t rank_memory(const Device& device, const PlacedRank& placed, std::int64_t live,
                         Bytes stand_ins);

// The same of a rank whose device exchanges messages with so many others.
std::int64_t rank_memory(const Device& device, std::int64_t peers, std::int64_t live,
                         Bytes stand_ins);

// Weights, gradients and the optimizer's state of the rank with most of it, at least.
std::int64_t least_state(const StrategySpec& strategy, const StrategyPoint& point,
                         const Training& training);

}  // namespace rehearse
