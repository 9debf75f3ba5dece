#include "model/schedule/fraction.h"

#include <gtest/gtest.h>

namespace rehearse {
namespace {

TEST(Fraction, IsExact) {
  EXPECT_EQ(parse_fraction("0.5"), (Fraction{1, 2}));
  EXPECT_EQ(parse_fraction("2/3"), (Fraction{2, 3}));
  EXPECT_EQ(parse_fraction("4/6"), (Fraction{2, 3}));
  EXPECT_EQ(parse_fraction("0.1"), (Fraction{1, 10}));
  EXPECT_EQ(parse_fraction("0.333333333"), (Fraction{333333333, 1000000000}));
  EXPECT_EQ(parse_fraction("1"), (Fraction{1, 1}));
  EXPECT_EQ(parse_fraction("1.0"), (Fraction{1, 1}));
  EXPECT_EQ(parse_fraction("1/1"), (Fraction{1, 1}));
}

TEST(Fraction, RefusesTheRest) {
  for (const char* text : {"", "0", "0.0", "1.1", "2", "3/2", "-1/2", "1/-2", "0.5x", " 0.5", ".5",
                           "1/", "/2", "1/0", "0/1", "0.1234567891", "5e-1", "nan"}) {
    EXPECT_EQ(parse_fraction(text), std::nullopt) << text;
  }
}

TEST(Fraction, OfACountIsRoundedUp) {
  EXPECT_EQ(ceiling_of({1, 2}, 4), 2);
  EXPECT_EQ(ceiling_of({1, 2}, 5), 3);
  EXPECT_EQ(ceiling_of({1, 3}, 3), 1);
  EXPECT_EQ(ceiling_of({1, 100}, 3), 1);
  EXPECT_EQ(ceiling_of({1, 1}, 3), 3);
  EXPECT_EQ(ceiling_of({333'333'333, 1'000'000'000}, 3), 1) << "0.999999999";
}

TEST(Fraction, PrintsItself) {
  EXPECT_EQ(to_string(Fraction{1, 2}), "0.5");
  EXPECT_EQ(to_string(Fraction{3, 8}), "0.375");
  EXPECT_EQ(to_string(Fraction{1, 10'000}), "0.0001");
  EXPECT_EQ(to_string(Fraction{1, 32}), "1/32") << "five digits";
  EXPECT_EQ(to_string(Fraction{2, 3}), "2/3");
  EXPECT_EQ(to_string(Fraction{1, 1}), "1");
}

}  // namespace
}  // namespace rehearse
