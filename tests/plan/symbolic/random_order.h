// Which of the ops that can begin or end do so next.
#pragma once

#include <vector>

#include "model/base/random.h"

namespace rehearse::testing::symbolic {

struct Choice {
  std::size_t rank = 0, lane = 0;
  bool begins = false;
};

// Uniformly; or, so that some lanes run far ahead of others, by priorities of beginnings and ends.
class RandomOrder {
 public:
  RandomOrder(Random& random, std::size_t ranks)
      : random_(random), by_priority_(random.below(3) > 0), priorities_(ranks) {}

  // Anew for every period of a rank.
  void draw_priorities(std::size_t rank, std::size_t lanes);
  const Choice& choose(const std::vector<Choice>& choices);

 private:
  double priority(const Choice& choice) const {
    return priorities_[choice.rank][2 * choice.lane + (choice.begins ? 1 : 0)];
  }

  Random& random_;
  const bool by_priority_;
  std::vector<std::vector<double>> priorities_;  // by rank: of the ends and beginnings of lanes
};

}  // namespace rehearse::testing::symbolic
