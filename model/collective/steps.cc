#include "model/collective/steps.h"

#include <algorithm>

#include "model/base/check.h"

namespace rehearse {

std::string_view to_string(CollectiveAlgorithm algorithm) {
  switch (algorithm) {
    case CollectiveAlgorithm::ring:
      return "ring";
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

std::vector<CollectiveStep> ring_all_reduce(std::size_t member, std::size_t members,
                                            std::int64_t n) {
  REHEARSE_CHECK(member < members, "member {} of {}", member, members);
  const auto c = static_cast<std::int64_t>(members);
  const auto chunk = [&](std::size_t k) {
    const auto number = static_cast<std::int64_t>(k % members);
    return ElementRange{number * n / c, (number + 1) * n / c};
  };
  const std::size_t next = (member + 1) % members, previous = (member + members - 1) % members;
  std::vector<CollectiveStep> steps;
  // Chunk k starts at member k and gathers sums until member k - 1 has the whole of it ...
  for (std::size_t s = 0; s + 1 < members; ++s) {
    steps.push_back(
        {next, previous, chunk(member + members - s), chunk(member + 2 * members - s - 1), true});
  }
  // ... and from there goes once around.
  for (std::size_t s = 0; s + 1 < members; ++s) {
    steps.push_back(
        {next, previous, chunk(member + 1 + members - s), chunk(member + members - s), false});
  }
  return steps;
}

std::vector<CollectiveStep> steps_of(CollectiveAlgorithm algorithm, std::size_t member,
                                     std::size_t members, std::int64_t n) {
  switch (algorithm) {
    case CollectiveAlgorithm::ring:
      return ring_all_reduce(member, members, n);
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

std::int64_t elements_sent(const std::vector<CollectiveStep>& steps) {
  std::int64_t sent = 0;
  for (const CollectiveStep& step : steps)
    sent += step.send.size();
  return sent;
}

std::int64_t longest_receive(const std::vector<CollectiveStep>& steps) {
  std::int64_t longest = 0;
  for (const CollectiveStep& step : steps)
    longest = std::max(longest, step.receive.size());
  return longest;
}

}  // namespace rehearse
