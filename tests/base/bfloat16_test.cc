#include "model/base/bfloat16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <type_traits>

namespace rehearse {
namespace {

static_assert(sizeof(BFloat16) == 2);
// Bytes may become numbers of this type, and copies of them are copies of bytes.
static_assert(std::is_trivially_copy_constructible_v<BFloat16>);
static_assert(std::is_trivially_destructible_v<BFloat16>);
static_assert(!std::is_convertible_v<float, BFloat16>, "rounding is asked for");
static_assert(std::is_same_v<Wide<BFloat16>, float> && std::is_same_v<Wide<double>, double>);

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::uint16_t bits(double value) {
  return BFloat16(value).bits();
}

// One is 0x3f80, and its successor 2^-7 above it.
TEST(BFloat16, HasTheBitsOfFp32sUpperHalf) {
  EXPECT_EQ(bits(0.0), 0x0000);
  EXPECT_EQ(bits(-0.0), 0x8000);
  EXPECT_EQ(bits(1.0), 0x3f80);
  EXPECT_EQ(bits(1.0 + 0x1p-7), 0x3f81);
  EXPECT_EQ(bits(-2.5), 0xc020);
  EXPECT_EQ(bits(0x1p-133), 0x0001) << "the smallest denormal";
}

// Halfway between neighbours the even one is taken: 2^-8 above one is one, 3 2^-8 is 4 2^-8.
TEST(BFloat16, RoundsTiesToEven) {
  EXPECT_EQ(BFloat16(1.0F + 0x1p-8F).bits(), 0x3f80);
  EXPECT_EQ(BFloat16(1.0F + 0x3p-8F).bits(), 0x3f82);
  EXPECT_EQ(BFloat16(1.0F + 0x1.01p-8F).bits(), 0x3f81);
  EXPECT_EQ(BFloat16(1.0F + 0x0.ffp-8F).bits(), 0x3f80);
}

// By way of the nearest float these would be ties, and go the wrong way.
TEST(BFloat16, RoundsDoublesOnce) {
  EXPECT_EQ(bits(1.0 + 0x1p-8 + 0x1p-40), 0x3f81);
  EXPECT_EQ(bits(-1.0 - 0x1p-8 - 0x1p-40), 0xbf81);
  EXPECT_EQ(bits(1.0 + 0x3p-8 - 0x1p-40), 0x3f81);
  EXPECT_EQ(bits(1.0 + 0x1p-8), 0x3f80);
}

// The largest is (2 - 2^-7) 2^127; from half a unit above it on numbers are infinite.
TEST(BFloat16, OverflowsToInfinity) {
  EXPECT_EQ(BFloat16(std::numeric_limits<float>::max()), kInfinity);
  EXPECT_EQ(BFloat16(-std::numeric_limits<float>::max()), -kInfinity);
  EXPECT_EQ(BFloat16(0x1.fe7p127F), 0x1.fep127F);
  EXPECT_EQ(BFloat16(1e300), kInfinity);
  EXPECT_EQ(BFloat16(kInfinity), kInfinity);
}

// The payload may lie in the lower half only.
TEST(BFloat16, KeepsNaNs) {
  EXPECT_TRUE(std::isnan(BFloat16(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(BFloat16(std::bit_cast<float>(0x7f800001u))));
  EXPECT_TRUE(std::isnan(BFloat16(std::bit_cast<float>(0xffffffffu))));
  EXPECT_TRUE(std::isnan(BFloat16(std::numeric_limits<double>::quiet_NaN())));
}

TEST(BFloat16, EveryNumberIsItself) {
  for (std::uint32_t upper = 0; upper < 0x10000u; ++upper) {
    const auto value = std::bit_cast<float>(upper << 16);
    if (std::isnan(value)) continue;
    EXPECT_EQ(BFloat16(value).bits(), upper);
    EXPECT_EQ(BFloat16(static_cast<double>(value)).bits(), upper);
  }
}

}  // namespace
}  // namespace rehearse
