// What is alive in a rank's arena while its program runs, op by op in list order: when most is, and
// what that is.
#pragma once

#include <cstdint>
#include <vector>

#include "model/plan/plan.h"

namespace rehearse {

// Buffers of one kind at one moment.
struct AliveBuffers {
  BufferKind kind = BufferKind::parameters;
  std::int64_t buffers = 0;
  // Whose passes made them; 0: of no micro-batch.
  std::int64_t micro_batches = 0;
  Bytes size;
};

struct MemoryCurve {
  std::vector<Bytes> live;  // by op: while it runs, with what it frees afterwards
  Bytes state;              // what is always there: the curve where there are no ops
  OpId peak;                // the first op at which most is alive; of no meaning without ops
  std::vector<AliveBuffers> alive;  // then, the largest first
  Bytes most() const { return live.empty() ? state : live[peak.index()]; }
};

// The program's allocations must be valid (verify()). O(ops + buffers)
MemoryCurve memory_curve(const RankProgram& program);

}  // namespace rehearse
