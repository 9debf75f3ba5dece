#include "model/net/pack.h"

#include <algorithm>
#include <numeric>

namespace rehearse {

Bytes align_up(Bytes size, Bytes alignment) {
  const std::int64_t unit = alignment.bytes();
  return Bytes::bytes((size.bytes() + unit - 1) / unit * unit);
}

Conflicts conflicts_by(std::size_t items, std::function<bool(std::size_t, std::size_t)> conflict) {
  return
      [items, conflict = std::move(conflict)](std::size_t item, std::vector<std::size_t>& others) {
        for (std::size_t other = 0; other < items; ++other) {
          if (other != item && conflict(item, other)) others.push_back(other);
        }
      };
}

Packing pack(const std::vector<Bytes>& sizes, Bytes alignment, const Conflicts& conflicts) {
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return sizes[a] > sizes[b]; });

  struct Place {
    Bytes begin, end;
  };
  Packing packing{std::vector<Bytes>(sizes.size()), Bytes()};
  std::vector<bool> is_placed(sizes.size(), false);
  std::vector<std::size_t> others;
  std::vector<Place> taken;
  for (const std::size_t item : order) {
    others.clear();
    conflicts(item, others);
    taken.clear();
    for (const std::size_t other : others) {
      const Bytes begin = packing.offsets[other];
      if (is_placed[other]) taken.push_back({begin, begin + align_up(sizes[other], alignment)});
    }
    std::sort(taken.begin(), taken.end(),
              [](const Place& a, const Place& b) { return a.begin < b.begin; });
    const Bytes size = align_up(sizes[item], alignment);
    Bytes offset;
    for (const Place& place : taken) {
      if (place.begin >= offset + size) break;
      offset = std::max(offset, place.end);
    }
    packing.offsets[item] = offset;
    packing.extent = std::max(packing.extent, offset + size);
    is_placed[item] = true;
  }
  return packing;
}

}  // namespace rehearse
