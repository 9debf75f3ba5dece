#include "model/collective/all_to_all.h"

#include <algorithm>
#include <bit>

#include "model/base/check.h"

namespace rehearse {

const std::vector<AllToAllRow>& all_to_all_algorithms() {
  static const std::vector<AllToAllRow> rows = {
      {AllToAllAlgorithm::bruck, "bruck", "blocks travel by powers of two: fewest messages"},
      {AllToAllAlgorithm::direct, "direct", "every block to its receiver: fewest bytes"},
  };
  return rows;
}

std::size_t step_count(AllToAllAlgorithm algorithm, std::size_t members) {
  REHEARSE_CHECK(members > 0, "an all-to-all of nobody");
  switch (algorithm) {
    case AllToAllAlgorithm::bruck:
      return static_cast<std::size_t>(std::bit_width(members - 1));
    case AllToAllAlgorithm::direct:
      return members - 1;
  }
  REHEARSE_UNREACHABLE("all-to-all algorithm");
}

AllToAllStep all_to_all_step(AllToAllAlgorithm algorithm, std::size_t member, std::size_t members,
                             std::size_t number) {
  REHEARSE_CHECK(number < step_count(algorithm, members), "step {} of {} members", number, members);
  const bool is_direct = algorithm == AllToAllAlgorithm::direct;
  const std::size_t distance = is_direct ? number + 1 : std::size_t{1} << number;
  AllToAllStep step{(member + distance) % members, (member + members - distance) % members, {}};
  if (is_direct) {
    step.slots = {distance};
    return step;
  }
  for (std::size_t slot = distance; slot < members; ++slot) {
    if ((slot & distance) != 0) step.slots.push_back(slot);
  }
  return step;
}

std::size_t blocks_sent(AllToAllAlgorithm algorithm, std::size_t members, std::size_t number) {
  if (algorithm == AllToAllAlgorithm::direct) return 1;
  // Of every 2^(s+1) slots the second half has bit s.
  const std::size_t half = std::size_t{1} << number;
  const std::size_t rest = members % (2 * half);
  return members / (2 * half) * half + (rest > half ? rest - half : 0);
}

}  // namespace rehearse
