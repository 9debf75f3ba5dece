#include "model/base/units.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace rehearse {
namespace {

template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};
template <class A, class B>
concept Comparable = requires(A a, B b) {
  a < b;
};
template <class A, class B>
concept Divisible = requires(A a, B b) {
  a / b;
};

static_assert(Addable<Bytes, Bytes> && !Addable<Bytes, Seconds> && !Addable<Bytes, int>);
static_assert(!Comparable<Seconds, Time> && !Comparable<Bytes, Flops>);
static_assert(!Divisible<Flops, BytesPerSecond> && !Divisible<Bytes, FlopsPerSecond>);
static_assert(!std::is_constructible_v<Bytes, int> && !std::is_convertible_v<Bytes, long>);
static_assert(std::is_same_v<decltype(Bytes() / BytesPerSecond()), Seconds>);
static_assert(std::is_same_v<decltype(Bytes() / Bytes()), double>);

TEST(Units, GigaIsTenToTheNinthAndGibiTwoToTheThirtieth) {
  EXPECT_EQ(Bytes::gib(1).bytes(), 1073741824);
  EXPECT_EQ(BytesPerSecond::gigabytes_per_second(1).bytes_per_second(), 1e9);
  // 8 bits in a byte.
  EXPECT_EQ(BytesPerSecond::bits_per_second(400e9).bytes_per_second(), 50e9);
}

TEST(Units, DivisionGivesTime) {
  // 1 MiB at 1 MiB/s takes a second.
  EXPECT_EQ((Bytes::mib(1) / BytesPerSecond::bytes_per_second(1048576)).seconds(), 1.0);
  EXPECT_EQ((Flops::flops(6e12) / FlopsPerSecond::teraflops_per_second(3)).seconds(), 2.0);
}

TEST(Time, RoundsUpSoThatPositiveDurationsAreNeverZero) {
  EXPECT_EQ(Time::from(Seconds::seconds(0)).picoseconds(), 0);
  EXPECT_EQ(Time::from(Seconds::seconds(1e-15)).picoseconds(), 1);
  EXPECT_EQ(Time::from(Seconds::seconds(1.5e-12)).picoseconds(), 2);
  EXPECT_EQ(Time::from(Seconds::seconds(1)).picoseconds(), 1'000'000'000'000);
}

TEST(Time, RefusesWhatIsNoDuration) {
  EXPECT_DEATH((void)Time::from(Seconds::seconds(-1)), "no simulated duration");
  EXPECT_DEATH((void)Time::from(Seconds::seconds(0.0 / 0.0)), "no simulated duration");
}

}  // namespace
}  // namespace rehearse
