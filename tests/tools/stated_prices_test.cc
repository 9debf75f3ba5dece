// Pipelines played by the times that a scenario states: published rates and closed forms, through
// the same way from text to plan to timeline that `rehearse simulate` goes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "model/schedule/plan_actions.h"
#include "tests/scenario/files.h"
#include "tools/predict/predict.h"

namespace rehearse {
namespace {

using Row = std::map<std::string, std::string>;  // by column

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream text(line);
  for (std::string field; std::getline(text, field, ',');)
    fields.push_back(field);
  return fields;
}

std::vector<Row> published() {
  std::ifstream file(testing::kSource / "tests/schedule/published/zero_bubble.csv");
  std::vector<std::string> columns;
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    const auto fields = fields_of(line);
    if (columns.empty()) {
      columns = fields;
      continue;
    }
    Row& row = rows.emplace_back();
    for (std::size_t i = 0; i < columns.size(); ++i)
      row[columns[i]] = fields.at(i);
  }
  return rows;
}

std::optional<StrategySummary> played(const std::string& prices, const std::string& pipeline) {
  const std::string text = fmt::format(
      "name: stated\nprices: {}\nstrategies:\n  - {{name: x, pipeline: {}}}\n", prices, pipeline);
  const Result<Scenario> scenario = parse_scenario(text, "stated.yaml", {});
  EXPECT_TRUE(scenario.ok()) << format(scenario.errors());
  if (!scenario) return std::nullopt;
  const Result<Prediction> prediction = predict(*scenario, scenario->strategies.front());
  EXPECT_TRUE(prediction.ok()) << format(prediction.errors());
  return prediction ? std::optional(prediction->summary) : std::nullopt;
}

double bubble(const std::string& prices, const std::string& pipeline) {
  const auto summary = played(prices, pipeline);
  return summary ? summary->bubble_fraction : -1;
}

class PublishedBubbles : public ::testing::Test {
 protected:
  static std::string prices(const Row& row) {
    return fmt::format(
        "{{forward: {} ms, input_gradient: {} ms, weight_gradient: {} ms, transfer: {} ms}}",
        row.at("tf_ms"), row.at("tb_ms"), row.at("tw_ms"), row.at("tcomm_ms"));
  }
  static std::string pipeline(const Row& row, const std::string& schedule) {
    return fmt::format("{{stages: {}, micro_batches: {}, schedule: {}}}", row.at("stages"),
                       row.at("micro_batches"), schedule);
  }
};

// Qi et al. publish rates to four digits, from times of five: an error of half of the last digit of
// each of the times changes a rate by up to 2e-5.
TEST_F(PublishedBubbles, HandcraftedOnesToFourDigits) {
  const auto rows = published();
  ASSERT_EQ(rows.size(), 6u);
  for (const Row& row : rows) {
    for (const auto& [schedule, column] : std::map<std::string, std::string>{
             {"1f1b", "bubble_1f1b"}, {"zb-h1", "bubble_zb_h1"}, {"zb-h2", "bubble_zb_h2"}}) {
      EXPECT_NEAR(bubble(prices(row), pipeline(row, schedule)), std::stod(row.at(column)), 7e-5)
          << schedule << ", " << row.at("stages") << " stages, " << row.at("micro_batches");
    }
  }
}

// v = (layers + 2) / p chunks, with two of the layers for the embedding and the head.
TEST_F(PublishedBubbles, InterleavedAndAutomaticWithinHalfAPercent) {
  for (const Row& row : published()) {
    const int stages = std::stoi(row.at("stages")), layers = std::stoi(row.at("layers"));
    const double chunked = bubble(
        prices(row), pipeline(row, fmt::format("interleaved, chunks: {}", (layers + 2) / stages)));
    EXPECT_NEAR(chunked, std::stod(row.at("bubble_interleaved")), 0.005);
    // The paper counts 32 / (34 + 5 a s / h) of an activation after its input gradients (table 1).
    const double share = 32 / (34 + 5 * std::stod(row.at("heads")) * std::stod(row.at("seq")) /
                                        std::stod(row.at("hidden")));
    for (const auto& [live, column] :
         std::map<int, std::string>{{stages, "bubble_zb_1p"}, {2 * stages, "bubble_zb_2p"}}) {
      const std::string schedule =
          fmt::format("zb-auto, live: {}, kept_after_input: {}", live, share);
      // Lower is right: any order of the passes within the limit is allowed.
      EXPECT_LE(bubble(prices(row), pipeline(row, schedule)), std::stod(row.at(column)) + 0.005);
    }
  }
}

// With free messages GPipe and 1F1B wait p - 1 times a forward and a backward, in m + p - 1.
TEST(StatedPrices, PlainPipelinesHaveTheBubbleOfTheBooks) {
  for (const char* schedule : {"gpipe", "1f1b"}) {
    for (const int p : {2, 3, 8}) {
      for (const int m : {1, 4, 16}) {
        const double expected = static_cast<double>(p - 1) / (m + p - 1);
        EXPECT_NEAR(
            bubble("{forward: 1 ms, input_gradient: 1 ms, weight_gradient: 1 ms}",
                   fmt::format("{{stages: {}, micro_batches: {}, schedule: {}}}", p, m, schedule)),
            expected, 1e-9);
      }
    }
  }
}

// With v chunks the bubble's time over the ideal time is (p - 1) / (v m) (Narayanan et al. 2021,
// section 2.2): of the whole, b / (1 + b).
TEST(StatedPrices, InterleavingDividesTheBubble) {
  for (const int v : {2, 3}) {
    const double b = 3.0 / (v * 8);
    EXPECT_NEAR(bubble("{forward: 1 ms, input_gradient: 1 ms, weight_gradient: 1 ms}",
                       fmt::format("{{stages: 4, micro_batches: 8, schedule: interleaved, chunks: "
                                   "{}}}",
                                   v)),
                b / (1 + b), 1e-9);
  }
}

// Two ranks of 1F1B exchange t after every forward and backward pass of the last one, and after the
// first forward: (m + 1) (F + B + t) if they wait for it. Beside computing the first and the last
// message are in the way, and those of every second gradient there and its next forward back: in
// the meantime the last rank computes another micro-batch, 2 t less.
TEST(StatedPrices, ComputingWaitsForMessagesWhereItIsAsked) {
  const std::string prices =
      "{forward: 10 ms, input_gradient: 10 ms, weight_gradient: 10 ms, transfer: 1 ms}";
  for (const int m : {1, 4, 9}) {
    const auto with = [&](const char* exchange) {
      return played(prices,
                    fmt::format("{{stages: 2, micro_batches: {}, exchange: {}}}", m, exchange));
    };
    const auto waits = with("batched"), beside = with("overlapped"), serial = with("serial");
    ASSERT_TRUE(waits && beside && serial);
    EXPECT_NEAR(waits->step_time.seconds(), (m + 1) * 31e-3, 1e-9);
    // In turn, the next input follows the gradient, but for the last one.
    EXPECT_NEAR(serial->step_time.seconds(), (m + 1) * 31e-3 + (m - 1) * 1e-3, 1e-9);
    EXPECT_NEAR(beside->step_time.seconds(), (m + 1) * 30e-3 + (m + 1) / 2 * 2e-3, 1e-9);
    // The last rank waits for each of them, and for nothing else once its first input has come;
    // what it waits for is exposed communication.
    const RankSummary& last = waits->ranks.back();
    EXPECT_NEAR(last.exposed_communication.seconds(), (m + 1) * 1e-3, 1e-9);
    EXPECT_NEAR(last.compute.seconds(), m * 30e-3, 1e-9);
  }
}

// Uneven stages: the slowest one sets the pace. Stage 1 takes 2 + 4 of m = 6 micro-batches, after
// the first forward of stage 0 has come; its span has no gap.
TEST(StatedPrices, AListIsOnePricePerStage) {
  EXPECT_NEAR(
      bubble("{forward: [1 ms, 2 ms], input_gradient: [1 ms, 2 ms], weight_gradient: [1 ms, "
             "2 ms]}",
             "{stages: 2, micro_batches: 6, schedule: 1f1b}"),
      // Stage 0 spans 1 + 6 * 6 + 2 and computes 6 * 3: it has the longest span.
      1 - 18.0 / 39, 1e-9);
}

}  // namespace
}  // namespace rehearse
