#include "model/collective/steps.h"

#include <algorithm>
#include <bit>

#include "model/base/check.h"

namespace rehearse {

std::string_view to_string(CollectiveAlgorithm algorithm) {
  switch (algorithm) {
    case CollectiveAlgorithm::ring:
      return "ring";
    case CollectiveAlgorithm::pairwise:
      return "pairwise";
    case CollectiveAlgorithm::doubling:
      return "doubling";
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

namespace {

ElementRange chunk_at(std::size_t k, std::size_t members, std::int64_t n) {
  const auto c = static_cast<std::int64_t>(members), place = static_cast<std::int64_t>(k % members);
  return {place * n / c, (place + 1) * n / c};
}

// Of rings and pairwise exchanges alike.
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
  return {(member + 1) % members, (member + members - 1) % members, chunk(sent), chunk(sent - 1),
          reduce};
}

CollectiveStep pairwise_step(CollectiveKind kind, std::size_t member, std::size_t members,
                             std::int64_t n, std::size_t number) {
  const std::size_t distance = number % (members - 1) + 1;
  const std::size_t to = (member + distance) % members;
  const std::size_t from = (member + members - distance) % members;
  const bool reduce = kind == CollectiveKind::reduce_scatter ||
                      (kind == CollectiveKind::all_reduce && number < members - 1);
  return {to, from, chunk_at(reduce ? to : member, members, n),
          chunk_at(reduce ? member : from, members, n), reduce};
}

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

// Members beyond the last power of two.
std::size_t extra_members(std::size_t members) {
  return members - std::bit_floor(members);
}

std::size_t doubling_count(CollectiveKind kind, std::size_t members) {
  REHEARSE_CHECK(kind == CollectiveKind::all_reduce, "doubling is for all-reduces");
  const auto levels = static_cast<std::size_t>(std::countr_zero(std::bit_floor(members)));
  return levels + (extra_members(members) > 0 ? 2 : 0);
}

CollectiveStep doubling_step(std::size_t member, std::size_t members, std::int64_t n,
                             std::size_t number) {
  const std::size_t extra = extra_members(members), core = members - extra;
  const bool is_last =
      extra > 0 && number + 1 == doubling_count(CollectiveKind::all_reduce, members);
  const bool at_an_end = is_last || (extra > 0 && number == 0);
  const ElementRange all{0, n}, none{};
  const CollectiveStep idle{member, member, none, none, !is_last};
  if (!at_an_end) {
    if (member >= core) return idle;
    const std::size_t partner = member ^ std::size_t{1} << (number - (extra > 0 ? 1 : 0));
    return {partner, partner, all, all, true};
  }
  if (member >= extra && member < core) return idle;
  const bool is_extra = member >= core;
  const std::size_t partner = is_extra ? member - core : member + core;
  const bool sends = is_extra != is_last;
  return {partner, partner, sends ? all : none, sends ? none : all, !is_last};
}

}  // namespace

std::vector<CollectiveStep> steps_of(const CollectiveShape& shape, std::size_t member,
                                     std::int64_t n) {
  std::vector<CollectiveStep> steps(step_count(shape));
  for (std::size_t s = 0; s < steps.size(); ++s)
    steps[s] = step_of(shape, member, n, s);
  return steps;
}

std::size_t step_count(const CollectiveShape& shape) {
  REHEARSE_CHECK(shape.members > 0, "a collective of nobody");
  switch (shape.algorithm) {
    case CollectiveAlgorithm::ring:
      if (shape.kind == CollectiveKind::broadcast) return Broadcast(shape).steps();
      return exchange_count(shape.kind, shape.members);
    case CollectiveAlgorithm::pairwise:
      REHEARSE_CHECK(shape.kind != CollectiveKind::broadcast, "broadcasts are by ring");
      return exchange_count(shape.kind, shape.members);
    case CollectiveAlgorithm::doubling:
      return doubling_count(shape.kind, shape.members);
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

CollectiveStep step_of(const CollectiveShape& shape, std::size_t member, std::int64_t n,
                       std::size_t number) {
  REHEARSE_CHECK(member < shape.members, "member {} of {}", member, shape.members);
  REHEARSE_CHECK(number < step_count(shape), "step {} of {} members", number, shape.members);
  switch (shape.algorithm) {
    case CollectiveAlgorithm::ring:
      if (shape.kind == CollectiveKind::broadcast) return Broadcast(shape).step(member, n, number);
      return ring_step(shape.kind, member, shape.members, n, number);
    case CollectiveAlgorithm::pairwise:
      return pairwise_step(shape.kind, member, shape.members, n, number);
    case CollectiveAlgorithm::doubling:
      return doubling_step(member, shape.members, n, number);
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

std::int64_t elements_sent(const std::vector<CollectiveStep>& steps) {
  std::int64_t sent = 0;
  for (const CollectiveStep& step : steps)
    sent += step.send.size();
  return sent;
}

std::int64_t room_for(const CollectiveShape& shape, std::int64_t n) {
  const bool adds =
      shape.kind == CollectiveKind::all_reduce || shape.kind == CollectiveKind::reduce_scatter;
  if (!adds || shape.members < 2) return 0;
  const auto c = static_cast<std::int64_t>(shape.members);
  const std::int64_t longest = (n + c - 1) / c;
  switch (shape.algorithm) {
    case CollectiveAlgorithm::ring:
      return longest;
    case CollectiveAlgorithm::pairwise:
      return (c - 1) * longest;
    case CollectiveAlgorithm::doubling:
      return n;
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

}  // namespace rehearse
