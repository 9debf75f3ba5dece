// Values of a swept column, in one order.
#include "tools/report/axis_values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace rehearse {
namespace {

using sweep::Cell;

// However they come, they end in the order in which they stand here.
void expect_order(const std::vector<Cell>& wanted) {
  std::mt19937_64 random(1);
  for (int k = 0; k < 20; ++k) {
    std::vector<Cell> values = wanted;
    std::shuffle(values.begin(), values.end(), random);
    AxisCollector collector({"axis"});
    for (const Cell& value : values) {
      sweep::Row row;
      row.values = {{"other", Cell(7.0)}, {"axis", value}};
      collector.add(row);
      collector.add(row);
    }
    ASSERT_EQ(collector.in_order().size(), 1u);
    EXPECT_EQ(collector.in_order().front().values, wanted);
  }
}

std::vector<Cell> texts(const std::vector<std::string>& all) {
  return {all.begin(), all.end()};
}

TEST(AxisValues, AreInBaseUnits) {
  EXPECT_EQ(base_value(std::int64_t{4}), 4);
  EXPECT_EQ(base_value(0.5), 0.5);
  // 8 bits are a byte; a KiB is 2^10 bytes, a kB 10^3.
  EXPECT_EQ(base_value(std::string("800 Mb/s")), 1e8);
  EXPECT_EQ(base_value(std::string("1 GB/s")), 1e9);
  EXPECT_EQ(base_value(std::string("1 MiB")), 1048576);
  EXPECT_DOUBLE_EQ(base_value(std::string("5 us")).value(), 5e-6);
  EXPECT_EQ(base_value(std::string("1f1b")), std::nullopt);
  EXPECT_EQ(base_value(true), std::nullopt);
}

TEST(AxisValues, OfBandwidthsAreBySizeWhateverTheirUnits) {
  // 12.5 MB/s, 100 MB/s, 125 MB/s, 1.25 GB/s, 2 GB/s.
  expect_order(texts({"100 Mb/s", "100 MB/s", "1 Gb/s", "10 Gb/s", "2 GB/s"}));
}

TEST(AxisValues, OfSizesTellBinaryUnitsFromDecimalOnes) {
  // 900 KiB are 921,600 bytes, 1 MB 1,000,000, 1000 KiB 1,024,000, 1 MiB 1,048,576.
  expect_order(texts({"900 KiB", "1 MB", "1000 KiB", "1 MiB"}));
}

TEST(AxisValues, OfTextsAreByTheNumbersInThem) {
  expect_order(texts({"[2, 8]", "[2, 16]", "[10, 1]"}));
  expect_order(texts({"1f1b", "gpipe", "zb-h1"}));
}

TEST(AxisValues, OfSeveralKindsBeginWithQuantities) {
  expect_order({Cell(std::int64_t{2}), Cell(std::string("1 MiB")), Cell(false), Cell(true),
                Cell(std::string("auto"))});
}

}  // namespace
}  // namespace rehearse
