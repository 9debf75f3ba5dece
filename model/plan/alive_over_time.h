// What is alive in a rank's arena as time goes by, where its lanes overlap as they did in a
// timeline. cost/memory_curve.h counts the same op by op in list order.
#pragma once

#include <span>
#include <vector>

#include "model/plan/plan.h"
#include "model/plan/timeline.h"

namespace rehearse {

// A buffer lives from the start of the op that allocates it to the end of the one that frees it.
struct LifeEvent {
  Time time;
  BufferId buffer;
  OpId op;
  bool begins = false;
};

// Buffers that are not persistent, in the order of time; of one moment, first those that end. The
// program's allocations must be valid (verify()), spans all of its rank and of whole steps.
// O(operands log operands) for each step.
std::vector<LifeEvent> life_events(const RankProgram& program, std::span<const Span> spans);

struct ArenaUse {
  Time time;    // from here to the next one
  Bytes alive;  // sum of the buffers
  Bytes
      extent;  // end of the highest one, as the program is laid out, up to where the next may begin
};

// From the first moment on which anything changes. The largest extent is the laid-out arena; the
// largest sum is at most that, and Layout::live where ops run one at a time in list order.
std::vector<ArenaUse> arena_use(const RankProgram& program, std::span<const Span> spans);

}  // namespace rehearse
