#include "model/collective/all_to_all.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace rehearse {
namespace {

class AllToAll : public ::testing::TestWithParam<AllToAllAlgorithm> {};

INSTANTIATE_TEST_SUITE_P(All, AllToAll,
                         ::testing::Values(AllToAllAlgorithm::bruck, AllToAllAlgorithm::direct),
                         [](const auto& info) {
                           return info.param == AllToAllAlgorithm::bruck ? "bruck" : "direct";
                         });

// A block is (sender, receiver). Slot j begins with what is for the member j above, and ends with
// what the member j below had for this one.
TEST_P(AllToAll, BringsEveryBlockToItsReceiver) {
  using Block = std::pair<std::size_t, std::size_t>;
  for (std::size_t c = 1; c <= 33; ++c) {
    std::vector<std::vector<Block>> slots(c, std::vector<Block>(c));
    for (std::size_t m = 0; m < c; ++m) {
      for (std::size_t j = 0; j < c; ++j)
        slots[m][j] = {m, (m + j) % c};
    }
    for (std::size_t s = 0; s < step_count(GetParam(), c); ++s) {
      const auto before = slots;
      for (std::size_t m = 0; m < c; ++m) {
        const AllToAllStep step = all_to_all_step(GetParam(), m, c, s);
        const AllToAllStep other = all_to_all_step(GetParam(), step.from, c, s);
        EXPECT_EQ(other.to, m);
        EXPECT_EQ(other.slots, step.slots);
        EXPECT_EQ(step.slots.size(), blocks_sent(GetParam(), c, s));
        for (const std::size_t slot : step.slots)
          slots[m][slot] = before[step.from][slot];
      }
    }
    for (std::size_t m = 0; m < c; ++m) {
      for (std::size_t j = 0; j < c; ++j)
        EXPECT_EQ(slots[m][j], (Block{(m + c - j) % c, m})) << "slot " << j << " of " << c;
    }
  }
}

// Bruck et al.: ceil(log2 c) messages, of half of the blocks each where c is a power of two;
// direct: c - 1 of one.
TEST(AllToAllSteps, AreFewOrShort) {
  EXPECT_EQ(step_count(AllToAllAlgorithm::direct, 16), 15u);
  EXPECT_EQ(step_count(AllToAllAlgorithm::bruck, 16), 4u);
  EXPECT_EQ(step_count(AllToAllAlgorithm::bruck, 17), 5u);
  EXPECT_EQ(step_count(AllToAllAlgorithm::bruck, 1), 0u);
  for (std::size_t s = 0; s < 4; ++s)
    EXPECT_EQ(blocks_sent(AllToAllAlgorithm::bruck, 16, s), 8u);
}

TEST(AllToAllAlgorithms, HaveHelp) {
  ASSERT_EQ(all_to_all_algorithms().size(), 2u);
  EXPECT_LT(all_to_all_algorithms()[0].name, all_to_all_algorithms()[1].name);
  for (const AllToAllRow& row : all_to_all_algorithms())
    EXPECT_FALSE(row.help.empty());
}

}  // namespace
}  // namespace rehearse
