// Cutting a chain of blocks into pipeline stages.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/base/units.h"
#include "model/plan/plan.h"

namespace rehearse {

// What a stage may hold: the memory of its blocks' state, and of the activations of so many
// micro-batches.
struct StageLimit {
  const StageMemory* memory;
  std::vector<double> live;  // by stage: micro-batches kept at once
};

// First block of every stage, and one past the last block: stages + 1 numbers. Every stage has a
// block or more; the largest sum of costs is as small as can be among the cuts whose stages fit,
// and among such cuts the sum of their squares, so that no stage idles more than it must. None if
// no cut fits the limit. Exact, O(blocks^2 stages). Needs 1 <= stages <= costs.size().
std::optional<std::vector<std::size_t>> cut_stages(const std::vector<double>& costs,
                                                   std::int64_t stages,
                                                   const std::optional<StageLimit>& limit = {});

}  // namespace rehearse
