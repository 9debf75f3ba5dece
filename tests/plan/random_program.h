// Thirty ops on three lanes with dependencies at random; no buffers.
#pragma once

#include "model/base/random.h"
#include "model/plan/plan.h"

namespace rehearse::testing {

inline RankProgram random_program(std::uint64_t seed) {
  Random random(seed);
  RankProgram program;
  program.lanes = {
      {LaneKind::compute, {}}, {LaneKind::collective, {}}, {LaneKind::send_forward, {}}};
  for (std::size_t op = 0; op < 30; ++op) {
    Op next;
    next.lane = LaneId(random.below(3));
    if (op > 0 && random.below(2) == 0) next.after.push_back(OpId(random.below(op)));
    program.ops.push_back(next);
  }
  return program;
}

}  // namespace rehearse::testing
