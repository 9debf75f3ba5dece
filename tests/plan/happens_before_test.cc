#include "model/plan/happens_before.h"

#include <gtest/gtest.h>

#include "tests/plan/random_program.h"

namespace rehearse {
namespace {

using testing::random_program;

// The definition: the transitive closure of lane order and dependencies.
std::vector<std::vector<bool>> closure(const RankProgram& program) {
  const std::size_t n = program.ops.size();
  std::vector<std::vector<bool>> before(n, std::vector<bool>(n, false));
  for (std::size_t b = 0; b < n; ++b) {
    for (std::size_t a = 0; a < b; ++a) {
      bool direct = program.ops[a].lane == program.ops[b].lane;
      for (const OpId op : program.ops[b].after)
        direct = direct || op == OpId(a);
      if (!direct) continue;
      before[a][b] = true;
      for (std::size_t x = 0; x < a; ++x) {
        if (before[x][a]) before[x][b] = true;
      }
    }
  }
  return before;
}

TEST(HappensBefore, IsTheTransitiveClosure) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const RankProgram program = random_program(seed);
    const auto expected = closure(program);
    const HappensBefore before(program);
    for (std::size_t a = 0; a < program.ops.size(); ++a) {
      for (std::size_t b = 0; b < program.ops.size(); ++b) {
        EXPECT_EQ(before(OpId(a), OpId(b)), expected[a][b])
            << a << " before " << b << ", seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace rehearse
