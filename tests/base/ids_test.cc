#include "model/base/ids.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace rehearse {
namespace {

// A rank cannot stand where an op is expected, nor a plain number where an id is.
static_assert(!std::is_convertible_v<RankId, OpId>);
static_assert(!std::is_constructible_v<OpId, RankId>);
static_assert(!std::is_convertible_v<int, RankId>);
static_assert(!std::is_convertible_v<RankId, std::uint32_t>);

TEST(Id, OrdersByIndex) {
  EXPECT_LT(OpId(1), OpId(2));
  EXPECT_EQ(OpId(7).index(), 7u);
  EXPECT_EQ(std::hash<OpId>()(OpId(5)), 5u);
}

}  // namespace
}  // namespace rehearse
