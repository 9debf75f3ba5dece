#include "model/plan/alive_together.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/plan/random_program.h"

namespace rehearse {
namespace {

// The definition, pair by pair, of those that were added.
TEST(AliveTogether, IsWhatNoOrderKeepsApart) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const RankProgram program = testing::random_program(seed);
    const HappensBefore before(program);
    Random random(seed + 1000);
    std::vector<OpRange> lifetimes;
    for (std::size_t l = 0; l < random.below(50); ++l) {
      const std::size_t begin = random.below(program.ops.size());
      lifetimes.push_back({OpId(begin), OpId(begin + random.below(program.ops.size() - begin))});
    }
    AliveTogether alive(program, before, lifetimes);
    for (std::size_t a = 0; a < lifetimes.size(); ++a) {
      std::vector<std::size_t> expected, found;
      for (std::size_t b = 0; b < a; ++b) {
        const bool apart = before(lifetimes[a].end, lifetimes[b].begin) ||
                           before(lifetimes[b].end, lifetimes[a].begin);
        if (!apart) expected.push_back(b);
      }
      alive.with(a, found);
      std::sort(found.begin(), found.end());
      EXPECT_EQ(found, expected) << "lifetime " << a << ", seed " << seed;
      alive.add(a);
    }
  }
}

}  // namespace
}  // namespace rehearse
