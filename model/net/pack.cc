#include "model/net/pack.h"

#include <algorithm>
#include <bit>
#include <compare>
#include <limits>
#include <numeric>

namespace rehearse {

Bytes align_up(Bytes size, Bytes alignment) {
  const std::int64_t unit = alignment.bytes();
  return Bytes::bytes((size.bytes() + unit - 1) / unit * unit);
}

namespace {

// The places of items so far, of which many are the same.
class Places {
 public:
  std::size_t number_of(Bytes begin, Bytes end) {
    const Place place{begin.bytes(), end.bytes()};
    const auto at = std::lower_bound(
        ascending_.begin(), ascending_.end(), place,
        [&](std::size_t number, const Place& other) { return places_[number] < other; });
    if (at != ascending_.end() && places_[*at] == place) return *at;
    ascending_.insert(at, places_.size());
    places_.push_back(place);
    asked_.push_back(0);
    return places_.size() - 1;
  }

  // Begins the next question: which of them are taken.
  void clear() {
    ++question_;
    taken_.clear();
  }
  void take(std::size_t number) {
    if (asked_[number] == question_) return;
    asked_[number] = question_;
    taken_.push_back(number);
  }

  // The lowest offset with so much room beside those that are taken.
  Bytes lowest(Bytes room) {
    std::int64_t offset = 0;
    // Whether there is none before this place.
    const auto passes = [&](const Place& place) {
      if (place.begin >= offset + room.bytes()) return false;
      offset = std::max(offset, place.end);
      return true;
    };
    // To go through all of them in order, or to bring the few that are taken into it.
    if (taken_.size() * std::bit_width(taken_.size()) < ascending_.size()) {
      std::sort(taken_.begin(), taken_.end(),
                [&](std::size_t a, std::size_t b) { return places_[a] < places_[b]; });
      for (const std::size_t number : taken_) {
        if (!passes(places_[number])) break;
      }
      return Bytes::bytes(offset);
    }
    for (const std::size_t number : ascending_) {
      if (asked_[number] == question_ && !passes(places_[number])) break;
    }
    return Bytes::bytes(offset);
  }

 private:
  struct Place {
    std::int64_t begin, end;
    auto operator<=>(const Place&) const = default;
  };
  std::vector<Place> places_;
  std::vector<std::size_t> ascending_;  // their numbers
  std::vector<std::size_t> asked_;      // by number: the last question in which it was taken
  std::vector<std::size_t> taken_;
  std::size_t question_ = 0;
};

}  // namespace

Packing pack(const std::vector<Bytes>& sizes, Bytes alignment, const Conflicts& conflicts) {
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return sizes[a] > sizes[b]; });
  constexpr auto kNowhere = std::numeric_limits<std::size_t>::max();
  Packing packing{std::vector<Bytes>(sizes.size()), Bytes()};
  Places places;
  std::vector<std::size_t> place_of(sizes.size(), kNowhere), others;
  for (const std::size_t item : order) {
    others.clear();
    conflicts(item, others);
    places.clear();
    for (const std::size_t other : others) {
      if (place_of[other] != kNowhere) places.take(place_of[other]);
    }
    const Bytes size = align_up(sizes[item], alignment);
    const Bytes offset = places.lowest(size);
    packing.offsets[item] = offset;
    packing.extent = std::max(packing.extent, offset + size);
    place_of[item] = places.number_of(offset, offset + size);
  }
  return packing;
}

}  // namespace rehearse
