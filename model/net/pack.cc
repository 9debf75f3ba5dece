#include "model/net/pack.h"

#include <algorithm>
#include <numeric>

namespace rehearse {

Bytes align_up(Bytes size, Bytes alignment) {
  const std::int64_t unit = alignment.bytes();
  return Bytes::bytes((size.bytes() + unit - 1) / unit * unit);
}

Packing pack(const std::vector<Bytes>& sizes, Bytes alignment,
             const std::function<bool(std::size_t, std::size_t)>& conflict) {
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return sizes[a] > sizes[b]; });

  Packing packing{std::vector<Bytes>(sizes.size()), Bytes()};
  std::vector<std::size_t> placed;  // by offset
  for (const std::size_t item : order) {
    const Bytes size = align_up(sizes[item], alignment);
    Bytes offset;
    for (const std::size_t other : placed) {
      if (!conflict(item, other)) continue;
      const Bytes other_end = packing.offsets[other] + align_up(sizes[other], alignment);
      if (packing.offsets[other] >= offset + size) break;
      offset = std::max(offset, other_end);
    }
    packing.offsets[item] = offset;
    packing.extent = std::max(packing.extent, offset + size);
    const auto at = std::upper_bound(
        placed.begin(), placed.end(), offset,
        [&](Bytes value, std::size_t other) { return value < packing.offsets[other]; });
    placed.insert(at, item);
  }
  return packing;
}

}  // namespace rehearse
