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

namespace {

std::size_t ring_step_count(std::size_t members) {
  return 2 * (members - 1);
}

// First, chunk k starts at member k and gathers sums until member k - 1 has the whole of it; from
// there it goes once around.
CollectiveStep ring_step(std::size_t member, std::size_t members, std::int64_t n,
                         std::size_t number) {
  const auto chunk = [&](std::size_t k) {
    const auto c = static_cast<std::int64_t>(members),
               place = static_cast<std::int64_t>(k % members);
    return ElementRange{place * n / c, (place + 1) * n / c};
  };
  const bool reduce = number < members - 1;
  const std::size_t s = reduce ? number : number - (members - 1);
  const std::size_t sent = reduce ? member + 2 * members - s : member + 1 + members - s;
  return {(member + 1) % members, (member + members - 1) % members, chunk(sent), chunk(sent - 1),
          reduce};
}

}  // namespace

std::vector<CollectiveStep> ring_all_reduce(std::size_t member, std::size_t members,
                                            std::int64_t n) {
  return steps_of(CollectiveAlgorithm::ring, member, members, n);
}

std::vector<CollectiveStep> steps_of(CollectiveAlgorithm algorithm, std::size_t member,
                                     std::size_t members, std::int64_t n) {
  std::vector<CollectiveStep> steps(step_count(algorithm, members));
  for (std::size_t s = 0; s < steps.size(); ++s)
    steps[s] = step_of(algorithm, member, members, n, s);
  return steps;
}

std::size_t step_count(CollectiveAlgorithm algorithm, std::size_t members) {
  REHEARSE_CHECK(members > 0, "a collective of nobody");
  switch (algorithm) {
    case CollectiveAlgorithm::ring:
      return ring_step_count(members);
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

CollectiveStep step_of(CollectiveAlgorithm algorithm, std::size_t member, std::size_t members,
                       std::int64_t n, std::size_t number) {
  REHEARSE_CHECK(member < members, "member {} of {}", member, members);
  REHEARSE_CHECK(number < step_count(algorithm, members), "step {} of {} members", number, members);
  switch (algorithm) {
    case CollectiveAlgorithm::ring:
      return ring_step(member, members, n, number);
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
