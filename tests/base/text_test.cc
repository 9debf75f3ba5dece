#include "model/base/human_number.h"
#include "model/base/text.h"

#include <gtest/gtest.h>

namespace rehearse {
namespace {

TEST(Text, HumanQuantitiesHaveThreeDigitsAndAUnit) {
  EXPECT_EQ(human(Bytes::bytes(640)), "640 B");
  EXPECT_EQ(human(Bytes::kib(1536)), "1.50 MiB");
  EXPECT_EQ(human(Bytes::kib(6272)), "6.13 MiB") << "6.125 is midway";
  EXPECT_EQ(human(Seconds::seconds(0.845)), "845 ms");
  EXPECT_EQ(human(Bytes::bytes(92)), "92 B");
  EXPECT_EQ(human(Bytes::bytes(1000)), "1000 B");
  EXPECT_EQ(human(Bytes::bytes(0)), "0 B");
  EXPECT_EQ(human(Seconds::seconds(0)), "0 s");
  EXPECT_EQ(human(Seconds::seconds(528e-12)), "528 ps");
  EXPECT_EQ(human(Seconds::seconds(3.05e-6)), "3.05 us");
  EXPECT_EQ(human(BytesPerSecond::gigabytes_per_second(12.5)), "12.5 GB/s");
  EXPECT_EQ(human(FlopsPerSecond::teraflops_per_second(312)), "312 TFLOP/s");
  EXPECT_EQ(human_count(11173962), "11,173,962");
  EXPECT_EQ(human_count(-1000), "-1,000");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_number(0.0123456), "0.01235");
  EXPECT_EQ(human_number(845.34), "845.3");
  EXPECT_EQ(human_number(999.96), "1,000");
  EXPECT_EQ(human_number(23966.7), "23,967");
  EXPECT_EQ(human_number(412273), "412,273");
  EXPECT_EQ(human_number(7), "7");
  EXPECT_EQ(human_number(1.2345e-5), "1.234e-05");  // the nearest double lies below
  EXPECT_EQ(human_number(-2500.4), "-2,500");
}

TEST(Text, QuantitiesNeedTheirUnit) {
  EXPECT_EQ(parse_bandwidth("400 Gb/s"), BytesPerSecond::bytes_per_second(50e9));
  EXPECT_EQ(parse_bandwidth("50GB/s"), BytesPerSecond::bytes_per_second(50e9));
  EXPECT_EQ(parse_bandwidth("400"), std::nullopt);
  EXPECT_EQ(parse_bytes("80 GiB"), Bytes::gib(80));
  EXPECT_EQ(parse_bytes("80"), std::nullopt);
  EXPECT_EQ(parse_bytes("0.5 B"), std::nullopt);
  EXPECT_EQ(parse_bytes("1e3 B"), Bytes::bytes(1000));
  EXPECT_EQ(parse_seconds("5 us"), Seconds::seconds(5 * 1e-6));
  EXPECT_EQ(parse_seconds("5 parsec"), std::nullopt);
  EXPECT_EQ(parse_flop_rate("312 TFLOP/s"), FlopsPerSecond::teraflops_per_second(312));
}

TEST(Text, NumbersAreTheWholeText) {
  EXPECT_EQ(parse_integer("10"), 10);
  EXPECT_EQ(parse_integer("010"), std::nullopt);
  EXPECT_EQ(parse_integer("1x"), std::nullopt);
  EXPECT_EQ(parse_integer(""), std::nullopt);
  EXPECT_EQ(parse_number("0.5"), 0.5);
  EXPECT_EQ(parse_number("nan"), std::nullopt);
  EXPECT_EQ(parse_number("1e999"), std::nullopt);
}

TEST(Text, SplitKeepsEmptyParts) {
  EXPECT_EQ(split("a,,b", ',').size(), 3u);
  EXPECT_TRUE(split("", ',').empty());
  EXPECT_EQ(trim("  x \t"), "x");
}

TEST(Text, ExactNumbersReadBack) {
  for (const double x : {0.1, 1e-5, 1.0 / 3, 12345678.9})
    EXPECT_EQ(parse_number(exact(x)), x);
}

// XXH3-64 of the empty input, from the reference implementation's documentation.
TEST(Text, HashIsXxh3) {
  EXPECT_EQ(hash_text(""), "2d06800538d394c2");
}

}  // namespace
}  // namespace rehearse
