// Summaries survive their JSON, whose keys others rely on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/tools/summaries.h"

namespace rehearse {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> keys(const Json& object) {
  std::vector<std::string> result;
  for (const auto& [key, value] : object.items())
    result.push_back(key);
  return result;
}

TEST(SummaryJson, ReadsBackAsPrinted) {
  Summary summary = testing::summary("predicted");
  summary.strategies[0].data_parallel = true;
  summary.strategies.push_back(testing::subnetwork_summary("sub", 60));
  summary.strategies[2].subnetwork->redraw = {50, Bytes::kib(3), Seconds::microseconds(2000)};
  summary.strategies[1].local_steps = {8, Seconds::microseconds(3000), Seconds::microseconds(4000)};
  summary.strategies[0].step_time_band = {Seconds::seconds(0.09), Seconds::seconds(0.111)};
  summary.strategies[0].missing_prices = {MissingPrice::launch};
  const std::string text = print_json(summary);
  const Result<Summary> again = parse_summary(text, "here.json");
  ASSERT_TRUE(again.ok()) << format(again.errors());
  EXPECT_EQ(print_json(*again), text);
  EXPECT_TRUE(again->strategies[2].subnetwork.has_value());
  EXPECT_EQ(again->strategies[1].local_steps->steps, 8);
  EXPECT_EQ(again->strategies[0].step_time_band->high, Seconds::seconds(0.111));
  EXPECT_FALSE(again->strategies[1].step_time_band);
  EXPECT_EQ(again->strategies[0].missing_prices, std::vector{MissingPrice::launch});
}

TEST(SummaryJson, ReadsBackWhatWasNotTaken) {
  Summary summary = testing::summary("measured");
  for (StrategySummary& s : summary.strategies)
    s.tokens_per_s.reset(), s.mfu.reset(), s.fits.reset();
  const std::string text = print_json(summary);
  const Result<Summary> again = parse_summary(text, "here.json");
  ASSERT_TRUE(again.ok()) << format(again.errors());
  EXPECT_EQ(again->strategies[0].mfu, std::nullopt);
  EXPECT_EQ(again->strategies[0].fits, std::nullopt);
  EXPECT_EQ(print_json(*again), text);
}

// A run that diverges has a loss that is no number, and still a summary.
TEST(SummaryJson, ReadsBackALossThatIsNoNumber) {
  Summary summary = testing::summary("measured");
  summary.strategies[0].losses = {2.5, std::nan("")};
  const Result<Summary> again = parse_summary(print_json(summary), "here.json");
  ASSERT_TRUE(again.ok()) << format(again.errors());
  EXPECT_TRUE(std::isnan(again->strategies[0].losses[1]));
}

// design.md, "Command line": scripts of others rely on these names.
TEST(SummaryJson, HasTheseKeys) {
  const Json json = Json::parse(print_json(testing::summary("predicted")));
  EXPECT_THAT(keys(json), ::testing::IsSupersetOf({"scenario", "strategies"}));
  const Json& strategy = json["strategies"][0];
  EXPECT_THAT(keys(strategy),
              ::testing::IsSupersetOf(
                  {"strategy", "plan_hash", "step_time_s", "samples_per_s", "tokens_per_s", "mfu",
                   "bubble_fraction", "compute_s", "exposed_comm_s", "idle_s", "arena_live_bytes",
                   "arena_bytes", "pool_bytes", "peak_memory_bytes", "fits", "ranks", "links"}));
  EXPECT_THAT(keys(strategy["ranks"][0]),
              ::testing::IsSupersetOf({"rank", "peak_memory_bytes", "bytes_sent", "bytes_received",
                                       "compute_s", "idle_s"}));
  EXPECT_THAT(keys(strategy["links"][0]), ::testing::ElementsAre("name", "bytes", "utilisation"));
}

TEST(SummaryJson, IsToldFromOtherJson) {
  const std::string text = print_json(testing::summary("predicted"));
  EXPECT_TRUE(parse_if_summary(text, "here.json")->has_value());
  EXPECT_FALSE(parse_if_summary("{\"traceEvents\": []}", "here.json")->has_value());
  EXPECT_FALSE(parse_if_summary("[]", "here.json")->has_value());
  // Half of one is an error that names the file, not another kind of JSON.
  const auto half = parse_if_summary(text.substr(0, text.size() / 2), "here.json");
  ASSERT_FALSE(half.ok());
  EXPECT_EQ(half.errors()[0].where->source->name(), "here.json");
}

// Strategies that cannot be told apart are named by their names, and what a device has is kept.
TEST(SummaryJson, KeepsComparisons) {
  Summary summary = testing::summary("predicted");
  summary.strategies[1].alike = {0};
  summary.device_memory = Bytes::gib(80);
  const std::string text = print_json(summary);
  EXPECT_EQ(Json::parse(text)["strategies"][1]["not_told_apart_from"], Json::array({"ddp"}));
  EXPECT_EQ(print_json(*parse_summary(text, "here.json")), text);
  Json wrong = Json::parse(text);
  wrong["strategies"][1]["not_told_apart_from"][0] = "nobody";
  EXPECT_EQ(parse_summary(wrong.dump(), "here.json").errors()[0].message,
            "here.json: /strategies/1/not_told_apart_from/0: expected the name of a strategy in "
            "this file, got \"nobody\"");
}

TEST(SummaryJson, SaysWhatIsMissing) {
  Json json = Json::parse(print_json(testing::summary("predicted")));
  json["strategies"][1]["ranks"][0].erase("bytes_sent");
  const Result<Summary> broken = parse_summary(json.dump(), "here.json");
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.errors()[0].message, "here.json: /strategies/1/ranks/0/bytes_sent: is missing");
}

// Whichever key is missing or of another type, it is named: nothing is taken for zero.
class StrategyKey : public ::testing::TestWithParam<std::string> {};

TEST_P(StrategyKey, IsNeeded) {
  Json json = Json::parse(print_json(testing::summary("predicted")));
  json["strategies"][0].erase(GetParam());
  const Result<Summary> broken = parse_summary(json.dump(), "here.json");
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.errors()[0].message, "here.json: /strategies/0/" + GetParam() + ": is missing");
}

TEST_P(StrategyKey, HasItsType) {
  Json json = Json::parse(print_json(testing::summary("predicted")));
  Json& value = json["strategies"][0][GetParam()];
  value = value.is_object() ? Json::array() : Json::object();
  const Result<Summary> broken = parse_summary(json.dump(), "here.json");
  ASSERT_FALSE(broken.ok());
  const std::string begin = "here.json: /strategies/0/" + GetParam() + ": expected ";
  EXPECT_EQ(broken.errors()[0].message.substr(0, begin.size()), begin);
}

INSTANTIATE_TEST_SUITE_P(, StrategyKey,
                         ::testing::ValuesIn(keys(Json::parse(
                             print_json(testing::summary("predicted")))["strategies"][0])),
                         [](const auto& key) { return key.param; });

// What is printed of any kind of op and lane reads back.
TEST(SummaryJson, EveryKindOfOpAndLaneReadsBack) {
  Summary summary = testing::summary("predicted");
  auto& picture = summary.strategies.front().picture;
  picture.clear();
  for (int lane = 0; lane <= static_cast<int>(LaneKind::tensor); ++lane) {
    for (int kind = 0; kind < kOpKindCount; ++kind)
      picture.push_back({0, static_cast<LaneKind>(lane), static_cast<OpKind>(kind), "x", Seconds{},
                         Seconds::seconds(1e-3)});
  }
  const Result<Summary> again = parse_summary(print_json(summary), "summary.json");
  ASSERT_TRUE(again.ok()) << format(again.errors());
  EXPECT_EQ(again->strategies.front().picture.size(), picture.size());
}

}  // namespace
}  // namespace rehearse
