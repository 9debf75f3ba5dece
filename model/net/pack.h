// Places buffers with lifetimes into one range of memory.
//
// Greedy by size (Pisarchyk and Lee, arXiv 2001.03288, section 4.2): the largest first, each at the
// lowest offset that is free of everything it overlaps in time.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "model/base/units.h"

namespace rehearse {

struct Packing {
  std::vector<Bytes> offsets;  // as the items
  Bytes extent;                // end of the highest item
};

// sizes are rounded up to `alignment` (a power of two); conflict(i, j) says whether two items are
// ever alive together, and is symmetric. O(n^2) calls of conflict.
Packing pack(const std::vector<Bytes>& sizes, Bytes alignment,
             const std::function<bool(std::size_t, std::size_t)>& conflict);

Bytes align_up(Bytes size, Bytes alignment);

// Tensors start at multiples of this: a cache line and every vector register divide it.
inline constexpr Bytes kAlignment = Bytes::bytes(256);

}  // namespace rehearse
