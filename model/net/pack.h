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

// The items that are ever alive together with one: appended to the list, in any order, each once.
// Symmetric; an item itself may be among them or not. Asked for one item after the other, each
// once: those that were not asked for before may be left out.
using Conflicts = std::function<void(std::size_t item, std::vector<std::size_t>& others)>;
// The same by a test of two items, O(n) for each of them.
template <class Test>
Conflicts conflicts_by(std::size_t items, Test conflict) {
  return [items, conflict](std::size_t item, std::vector<std::size_t>& others) {
    for (std::size_t other = 0; other < items; ++other) {
      if (other != item && conflict(item, other)) others.push_back(other);
    }
  };
}

// sizes are rounded up to `alignment` (a power of two). O(c + n min(p, d log d)) for n items, the c
// conflicts there are, p different places, and d of them that are taken while an item is alive.
Packing pack(const std::vector<Bytes>& sizes, Bytes alignment, const Conflicts& conflicts);

Bytes align_up(Bytes size, Bytes alignment);

// Tensors start at multiples of this: a cache line and every vector register divide it.
inline constexpr Bytes kAlignment = Bytes::bytes(256);

}  // namespace rehearse
