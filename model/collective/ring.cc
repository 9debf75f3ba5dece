#include <algorithm>

#include "model/base/check.h"
#include "model/collective/algorithm.h"

namespace rehearse {

ElementRange chunk_at(std::size_t k, std::size_t members, std::int64_t n) {
  const auto c = static_cast<std::int64_t>(members), place = static_cast<std::int64_t>(k % members);
  return {place * n / c, (place + 1) * n / c};
}

std::int64_t longest_chunk(std::size_t members, std::int64_t n) {
  const auto c = static_cast<std::int64_t>(members);
  return (n + c - 1) / c;
}

std::size_t exchange_count(CollectiveKind kind, std::size_t members) {
  return (kind == CollectiveKind::all_reduce ? 2 : 1) * (members - 1);
}

// While sums are gathered, chunk k starts at member k + turn, goes up the ring and is complete at
// member k + turn - 1; from where it is complete it goes once around.
CollectiveStep ring_step(CollectiveKind kind, std::size_t member, std::size_t members,
                         std::int64_t n, std::size_t number) {
  const auto chunk = [&](std::size_t k) { return chunk_at(k, members, n); };
  const bool reduce = kind == CollectiveKind::reduce_scatter ||
                      (kind == CollectiveKind::all_reduce && number < members - 1);
  const std::size_t s =
      kind == CollectiveKind::all_reduce && !reduce ? number - (members - 1) : number;
  // Which chunk a member sends in step 0 of either half: an all-reduce's halves fit together.
  const std::size_t first = kind == CollectiveKind::reduce_scatter ? member + members - 1
                            : kind == CollectiveKind::all_gather   ? member
                                                                   : member + (reduce ? 0 : 1);
  const std::size_t sent = first + 2 * members - s;
  return {(member + 1) % members,
          (member + members - 1) % members,
          chunk(sent),
          chunk(sent - 1),
          reduce,
          reduce && s + 2 == members};
}

namespace {

// First chunk k goes from source k mod sources to receiver k, in rounds of as many chunks as there
// are sources; then chunks go around the receivers.
class Broadcast {
 public:
  explicit Broadcast(const CollectiveShape& shape)
      : sources_(shape.sources), receivers_(shape.members - shape.sources) {
    REHEARSE_CHECK(sources_ > 0 && sources_ < shape.members, "{} of {} members broadcast", sources_,
                   shape.members);
  }

  std::size_t steps() const { return rounds() + receivers_ - 1; }

  CollectiveStep step(std::size_t member, std::int64_t n, std::size_t number) const {
    const CollectiveStep idle{member, member, {}, {}, false};
    if (number >= rounds()) {
      if (member < sources_) return idle;
      CollectiveStep step = ring_step(CollectiveKind::all_gather, member - sources_, receivers_, n,
                                      number - rounds());
      step.to += sources_;
      step.from += sources_;
      return step;
    }
    const std::size_t first = number * sources_, end = std::min(first + sources_, receivers_);
    const auto chunk = [&](std::size_t k) { return chunk_at(k, receivers_, n); };
    if (member < sources_) {
      const std::size_t k = first + member;
      return k < end ? CollectiveStep{sources_ + k, sources_ + k, chunk(k), {}, false} : idle;
    }
    const std::size_t k = member - sources_;
    return first <= k && k < end ? CollectiveStep{k - first, k - first, {}, chunk(k), false} : idle;
  }

 private:
  std::size_t rounds() const { return (receivers_ + sources_ - 1) / sources_; }

  std::size_t sources_, receivers_;
};

class Ring : public StepSource {
 public:
  explicit Ring(const CollectiveShape& shape) : shape_(shape) {}

  CollectiveStep step(std::size_t member, std::int64_t n, std::size_t number,
                      std::size_t /*channel*/) const override {
    if (shape_.kind == CollectiveKind::broadcast) return Broadcast(shape_).step(member, n, number);
    return ring_step(shape_.kind, member, shape_.members, n, number);
  }

 private:
  const CollectiveShape shape_;
};

// Channel 0 goes up with the first halves of the chunks, channel 1 down with the second.
class BidirectionalRing : public StepSource {
 public:
  explicit BidirectionalRing(const CollectiveShape& shape)
      : kind_(shape.kind), members_(shape.members) {}

  CollectiveStep step(std::size_t member, std::int64_t n, std::size_t number,
                      std::size_t channel) const override {
    const auto turned = [&](std::size_t k) { return channel == 0 ? k : (members_ - k) % members_; };
    // With c elements a chunk is one element, and says which it is.
    CollectiveStep step =
        ring_step(kind_, turned(member), members_, static_cast<std::int64_t>(members_), number);
    const auto half = [&](const ElementRange& chunk) {
      const ElementRange whole =
          chunk_at(turned(static_cast<std::size_t>(chunk.begin)), members_, n);
      const std::int64_t middle = whole.begin + (whole.size() + 1) / 2;
      return channel == 0 ? ElementRange{whole.begin, middle} : ElementRange{middle, whole.end};
    };
    step.to = turned(step.to);
    step.from = turned(step.from);
    step.send = half(step.send);
    step.receive = half(step.receive);
    return step;
  }

 private:
  const CollectiveKind kind_;
  const std::size_t members_;
};

}  // namespace

AlgorithmRow ring_row() {
  return {
      CollectiveAlgorithm::ring,
      "ring",
      "chunks go around all members, twice in an all-reduce: fewest bytes, most messages",
      1,
      [](const CollectiveShape&) { return std::optional<std::string>{}; },
      [](const CollectiveShape& shape) {
        return shape.kind == CollectiveKind::broadcast ? Broadcast(shape).steps()
                                                       : exchange_count(shape.kind, shape.members);
      },
      [](const CollectiveShape& shape, std::int64_t n) { return longest_chunk(shape.members, n); },
      [](const CollectiveShape& shape) -> std::unique_ptr<const StepSource> {
        return std::make_unique<Ring>(shape);
      }};
}

AlgorithmRow bidirectional_ring_row() {
  return {CollectiveAlgorithm::bidirectional_ring, "bidirectional-ring",
          "two rings in opposite directions at the same time, each with half of every chunk", 2,
          refuse_broadcasts,
          [](const CollectiveShape& shape) { return exchange_count(shape.kind, shape.members); },
          // Of two halves the first is the longer.
          [](const CollectiveShape& shape, std::int64_t n) {
            return (longest_chunk(shape.members, n) + 1) / 2;
          },
          [](const CollectiveShape& shape) -> std::unique_ptr<const StepSource> {
            return std::make_unique<BidirectionalRing>(shape);
          }};
}

}  // namespace rehearse
