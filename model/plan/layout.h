// Where every buffer of a rank's program lies in the rank's arena.
//
// Persistent buffers live for the whole run, and come first, in their order: where plans follow one
// another that have the same ones, they lie in the same place. A transient one lives from the op
// that allocates it to the op that frees it. Two transient buffers may share memory only if one is
// surely freed before the other is allocated, whatever the lanes do (HappensBefore). Placement is
// pack()'s.
#pragma once

#include <vector>

#include "model/base/units.h"
#include "model/plan/plan.h"

namespace rehearse {

struct Layout {
  std::vector<Bytes> offsets;  // by buffer, aligned to kAlignment
  Bytes arena;                 // end of the highest buffer
  // Largest sum of buffers alive at once when ops run one at a time in list order: what an arena
  // without gaps and without overlap of lanes would need.
  Bytes live;
};

// The program's allocations must be valid (verify()).
Layout lay_out(const RankProgram& program);

}  // namespace rehearse
