// Scenarios drawn at random, whose estimates in closed form are compared with simulations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/base/random.h"

namespace rehearse {

template <class T>
const T& any_of(Random& random, const std::vector<T>& choices) {
  return choices[random.below(choices.size())];
}

std::string model_text(Random& random);
// One strategy of it, on one of these machines (lines below `cluster:`).
std::string scenario_text(Random& random, const std::string& model, std::int64_t batch,
                          const std::string& strategy, const std::vector<std::string>& on);

struct Compared {
  bool plays = false;      // whether what is played is compared, too
  int all = 0, alone = 0;  // of which nobody meets anybody
  int near = 0;            // played, within 1.5 %
};

// Live bytes of every rank kind are the plan's. Step times agree within 1.5 %, but for messages of
// a rank that meet on its links: the estimate says for how long they may. Beside those, a ring that
// leaves its node here and there takes a little less than the closed form, which has every step
// wait for the slowest hop's latency (3 % of a step of two milliseconds, where we looked).
void compare(const std::string& text, Compared& compared);

// As many, or as many as REHEARSE_ESTIMATE_TRIALS says.
int trials(int few);
// REHEARSE_ESTIMATE_SEED: other ones.
Random drawn_from(std::uint64_t seed);

// draw: a scenario's text, of a random strategy; empty: none.
template <class Draw>
Compared compare_drawn(std::uint64_t seed, int few, const Draw& draw, bool plays = false) {
  Random random = drawn_from(seed);
  Compared compared;
  compared.plays = plays;
  for (int trial = 0; trial < trials(few); ++trial) {
    const std::string text = draw(random);
    if (!text.empty()) compare(text, compared);
  }
  return compared;
}

}  // namespace rehearse
