// What a member of a collective works on before anything is on its way.
#pragma once

#include <cstdint>

#include "model/collective/steps.h"

namespace rehearse {

// Elements of the longest range that a member sends in the first step in which one sends: kernels
// read and write every other one while the next is on its way. Both halves of a bidirectional
// ring's chunk; of a double tree the longest of its pieces, whichever comes first. Of in-network
// reductions 0: switches read members' memory themselves. O(1).
std::int64_t first_range(const CollectiveShape& shape, std::int64_t n);

}  // namespace rehearse
