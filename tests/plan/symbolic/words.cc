#include "tests/plan/symbolic/words.h"

namespace rehearse::testing::symbolic {

// splitmix64's finaliser over the words in turn.
Word hash(const std::vector<Word>& words) {
  Word state = 0x9e3779b97f4a7c15u;
  for (const Word word : words) {
    state += word + 0x9e3779b97f4a7c15u;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
    state = (state ^ (state >> 27)) * 0x94d049bb133111ebu;
    state ^= state >> 31;
  }
  return state <= kZero ? state + 2 : state;
}

}  // namespace rehearse::testing::symbolic
