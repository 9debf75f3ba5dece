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

std::vector<CollectiveStep> steps_of(CollectiveKind kind, CollectiveAlgorithm algorithm,
                                     std::size_t member, std::size_t members, std::int64_t n) {
  std::vector<CollectiveStep> steps(step_count(kind, algorithm, members));
  for (std::size_t s = 0; s < steps.size(); ++s)
    steps[s] = step_of(kind, algorithm, member, members, n, s);
  return steps;
}

std::size_t step_count(CollectiveKind kind, CollectiveAlgorithm algorithm, std::size_t members) {
  REHEARSE_CHECK(members > 0, "a collective of nobody");
  switch (algorithm) {
    case CollectiveAlgorithm::ring:
    case CollectiveAlgorithm::pairwise:
      return exchange_count(kind, members);
    case CollectiveAlgorithm::doubling:
      return doubling_count(kind, members);
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

CollectiveStep step_of(CollectiveKind kind, CollectiveAlgorithm algorithm, std::size_t member,
                       std::size_t members, std::int64_t n, std::size_t number) {
  REHEARSE_CHECK(member < members, "member {} of {}", member, members);
  REHEARSE_CHECK(number < step_count(kind, algorithm, members), "step {} of {} members", number,
                 members);
  switch (algorithm) {
    case CollectiveAlgorithm::ring:
      return ring_step(kind, member, members, n, number);
    case CollectiveAlgorithm::pairwise:
      return pairwise_step(kind, member, members, n, number);
    case CollectiveAlgorithm::doubling:
      return doubling_step(member, members, n, number);
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

std::int64_t elements_sent(const std::vector<CollectiveStep>& steps) {
  std::int64_t sent = 0;
  for (const CollectiveStep& step : steps)
    sent += step.send.size();
  return sent;
}

std::int64_t room_for(CollectiveKind kind, CollectiveAlgorithm algorithm, std::size_t members,
                      std::int64_t n) {
  if (kind == CollectiveKind::all_gather || members < 2) return 0;
  const auto c = static_cast<std::int64_t>(members);
  const std::int64_t longest = (n + c - 1) / c;
  switch (algorithm) {
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
