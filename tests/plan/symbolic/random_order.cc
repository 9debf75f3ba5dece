#include "tests/plan/symbolic/random_order.h"

#include <algorithm>

namespace rehearse::testing::symbolic {

void RandomOrder::draw_priorities(std::size_t rank, std::size_t lanes) {
  priorities_[rank].clear();
  for (std::size_t k = 0; k < 2 * lanes; ++k)
    priorities_[rank].push_back(random_.uniform());
}

const Choice& RandomOrder::choose(const std::vector<Choice>& choices) {
  if (!by_priority_ || random_.below(20) == 0) return choices[random_.below(choices.size())];
  return *std::max_element(choices.begin(), choices.end(), [&](const Choice& a, const Choice& b) {
    return priority(a) < priority(b);
  });
}

}  // namespace rehearse::testing::symbolic
