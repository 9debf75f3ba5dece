// Which rows of a sweep a page shows.
#include "tools/report/swept_rows.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/tools/summaries.h"

namespace rehearse {
namespace {

using sweep::Row;
using sweep::RowStatus;

// Tests run at once, each in a process of its own.
class SweptRowsTest : public ::testing::Test {
 protected:
  SweptRowsTest() { std::filesystem::create_directories(folder_); }
  ~SweptRowsTest() override { std::filesystem::remove_all(folder_); }

  void write(const std::vector<Row>& rows) const {
    const sweep::Manifest manifest = {
        "1.2.3",
        "simulate",
        {},
        {{"a.yaml", "a", "00", 100, {"ddp", "pipe"}, {"nodes", "width", "dtype"}}}};
    std::ofstream(folder_ + "/sweep.json") << print_json(manifest);
    std::ofstream file(folder_ + "/results.jsonl");
    for (const Row& row : rows)
      file << print_json_line(row);
  }

  const std::string folder_ =
      fmt::format("{}rehearse_swept_rows_{}", ::testing::TempDir(), getpid());
};

Row row_of(std::uint64_t point, std::string strategy, RowStatus status) {
  Row row;
  row.scenario = "a", row.file = "a.yaml", row.point = point;
  row.strategy = std::move(strategy);
  row.status = status;
  row.method = "simulate", row.tool_version = "1.2.3", row.scenario_hash = "0123456789abcdef";
  return row;
}

double number_of(const Row& row, std::string_view name) {
  return sweep::number(figure(row, name)).value();
}

// 5 x 4 x 3 points of two strategies, times and memory by chance.
std::vector<Row> random_rows(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Row> rows;
  for (std::uint64_t point = 0; point < 60; ++point) {
    for (const char* strategy : {"ddp", "pipe"}) {
      const std::uint64_t luck = random() % 8;
      Row& row = rows.emplace_back(row_of(point, strategy,
                                          luck == 0   ? RowStatus::refused
                                          : luck == 1 ? RowStatus::does_not_fit
                                                      : RowStatus::played));
      const char* dtypes[] = {"fp32", "bf16", "fp16"};
      row.values = {{"nodes", static_cast<std::int64_t>(point / 12)},
                    {"width", 0.5 * static_cast<double>(point / 3 % 4)},
                    {"dtype", std::string(dtypes[point % 3])}};
      if (luck < 2) row.reason = fmt::format("needs {}.5 GiB, device has 80.0 GiB", random() % 99);
      if (luck == 0) continue;
      StrategySummary summary =
          testing::strategy_summary(strategy, 1 + static_cast<double>(random() % 1000));
      summary.memory->peak = Bytes::mib(1 + static_cast<std::int64_t>(random() % 1000));
      row.figures = sweep::figures_of(summary);
    }
  }
  return rows;
}

bool has(const SweptRows& swept, const Row& row) {
  return std::find(swept.rows.begin(), swept.rows.end(), row) != swept.rows.end();
}

TEST_F(SweptRowsTest, AreAllWhereThereIsRoom) {
  const std::vector<Row> rows = random_rows(1);
  write(rows);
  const Result<SweptRows> swept = read_swept_rows(folder_, rows.size());
  ASSERT_TRUE(swept.ok()) << format(swept.errors());
  EXPECT_TRUE(swept->has_all);
  EXPECT_EQ(swept->rows, rows);
}

// By counting again: reasons that differ in numbers only are one.
TEST_F(SweptRowsTest, CountStatusesAndReasons) {
  const std::vector<Row> rows = random_rows(2);
  write(rows);
  const Result<SweptRows> swept = read_swept_rows(folder_);
  ASSERT_TRUE(swept.ok()) << format(swept.errors());
  for (const RowStatus status : {RowStatus::played, RowStatus::does_not_fit, RowStatus::refused}) {
    const auto count = std::count_if(rows.begin(), rows.end(),
                                     [&](const Row& row) { return row.status == status; });
    EXPECT_EQ(swept->statuses.at(status), static_cast<std::uint64_t>(count));
  }
  ASSERT_EQ(swept->reasons.size(), 1u);
  EXPECT_EQ(swept->reasons.begin()->first, "needs # GiB, device has # GiB");
  EXPECT_EQ(swept->reasons.begin()->second.rows,
            rows.size() - swept->statuses.at(RowStatus::played));
}

// Of too many: whatever is the best of its strategy with two values, by comparing with all others.
TEST_F(SweptRowsTest, KeepTheBestOfEveryTwoValues) {
  const std::vector<Row> rows = random_rows(3);
  write(rows);
  const Result<SweptRows> swept = read_swept_rows(folder_, rows.size() - 1);
  ASSERT_TRUE(swept.ok()) << format(swept.errors());
  EXPECT_FALSE(swept->has_all);
  EXPECT_EQ(swept->total(), rows.size());
  EXPECT_LT(swept->rows.size(), rows.size());
  for (const Row& row : rows) {
    if (row.status != RowStatus::played) continue;
    const auto is_better = [&](const Row& other) {
      return other.status == RowStatus::played && other.strategy == row.strategy &&
             number_of(other, "run_samples_per_s") >= number_of(row, "run_samples_per_s") &&
             other != row;
    };
    for (std::size_t a = 0; a < 3; ++a) {
      for (std::size_t b = a; b < 3; ++b) {
        const bool is_beaten = std::any_of(rows.begin(), rows.end(), [&](const Row& other) {
          return is_better(other) && other.values[a] == row.values[a] &&
                 other.values[b] == row.values[b];
        });
        EXPECT_TRUE(is_beaten || has(*swept, row)) << row.point << row.strategy;
      }
    }
  }
}

// And whatever no other row of its strategy beats in both memory and time.
TEST_F(SweptRowsTest, KeepTheFront) {
  const std::vector<Row> rows = random_rows(4);
  write(rows);
  const Result<SweptRows> swept = read_swept_rows(folder_, rows.size() - 1);
  ASSERT_TRUE(swept.ok()) << format(swept.errors());
  for (const Row& row : rows) {
    if (row.status != RowStatus::played) continue;
    const bool is_beaten = std::any_of(rows.begin(), rows.end(), [&](const Row& other) {
      return other.status == RowStatus::played && other.strategy == row.strategy && other != row &&
             number_of(other, "step_time_s") <= number_of(row, "step_time_s") &&
             number_of(other, "peak_memory_bytes") <= number_of(row, "peak_memory_bytes");
    });
    EXPECT_TRUE(is_beaten || has(*swept, row)) << row.point << row.strategy;
  }
}

TEST_F(SweptRowsTest, AreRefusedWhereEvenTheBestAreTooMany) {
  write(random_rows(5));
  const Result<SweptRows> swept = read_swept_rows(folder_, 3);
  ASSERT_FALSE(swept.ok());
  EXPECT_NE(format(swept.errors()).find("has 120 rows, and "), std::string::npos);
  EXPECT_NE(format(swept.errors()).find("a page has room for 3"), std::string::npos);
}

TEST_F(SweptRowsTest, AreRowsOfCellsInJson) {
  const std::vector<Row> rows = random_rows(6);
  write(rows);
  const Result<SweptRows> swept = read_swept_rows(folder_);
  ASSERT_TRUE(swept.ok()) << format(swept.errors());
  const auto json = nlohmann::json::parse(print_json(*swept));
  ASSERT_EQ(json["rows"].size(), rows.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto line = nlohmann::json::parse(print_json_line(rows[r]));
    ASSERT_EQ(json["rows"][r].size(), json["columns"].size());
    for (std::size_t c = 0; c < json["columns"].size(); ++c) {
      const std::string name = json["columns"][c];
      const auto& from = line["values"].contains(name) ? line["values"] : line;
      const auto wanted = from.contains(name) ? from[name] : nlohmann::json();
      EXPECT_EQ(json["rows"][r][c], wanted) << name;
    }
  }
}

TEST_F(SweptRowsTest, MustBeSome) {
  write({});
  const Result<SweptRows> swept = read_swept_rows(folder_);
  ASSERT_FALSE(swept.ok());
  EXPECT_NE(format(swept.errors()).find("holds no row of a sweep yet"), std::string::npos);
}

}  // namespace
}  // namespace rehearse
