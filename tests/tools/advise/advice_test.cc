// What is advised: whole runs, what they cost, files that simulate to the same.
#include "tools/advise/advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "tests/tools/advise/scenarios.h"
#include "tools/advise/write_scenario.h"

namespace rehearse::advise {
namespace {

namespace fs = std::filesystem;

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(::testing::TempDir()) / (std::string("advise_") + test->name());
    fs::remove_all(root_);
    fs::create_directories(root_ / "deep");
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(root_ / name, std::ios::binary) << text;
    return (root_ / name).string();
  }
  fs::path root_;
};

// What is written simulates to the very figures that were printed, wherever it lies and whatever it
// names.
TEST_F(Files, WrittenStrategiesSimulateTheSame) {
  std::string text = kSmall;
  text.replace(text.find("h100-sxm-80gb"), 13, "\"./mine.yaml\"  # ours");
  const std::string path = write("small.yaml", text);
  write("mine.yaml",
        read_text_file(std::string(REHEARSE_SOURCE_DIR) + "/scenarios/devices/h100-sxm-80gb.yaml")
            .value());
  const Scenario scenario = read_scenario(path, profile_path(path)).value();
  Options options;
  options.top = 4;
  options.step_multiplier = 1.5;
  const Advice advice = advise(scenario, scenario.advise, options).value();
  ASSERT_GE(advice.ranking.size(), 4u);
  std::vector<StrategySpec> specs;
  for (const Advised& one : advice.ranking)
    specs.push_back(one.spec);
  for (const char* name : {"out.yaml", "deep/out.yaml"}) {
    const std::string out = (root_ / name).string();
    const std::string written = with_strategies(path, out, specs, std::nullopt).value();
    write(name, written);
    EXPECT_THAT(written, ::testing::StartsWith("# A comment.\nname: small\n"));
    EXPECT_THAT(written, ::testing::Not(::testing::HasSubstr("advise:")));
    const Result<Scenario> again = read_scenario(out, profile_path(out));
    ASSERT_TRUE(again.ok()) << format(again.errors());
    ASSERT_EQ(again->strategies.size(), advice.ranking.size());
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const Prediction prediction = predict(*again, again->strategies[i]).value();
      EXPECT_EQ(prediction.summary.plan_hash, advice.ranking[i].summary.plan_hash);
      EXPECT_EQ(prediction.summary.step_time, advice.ranking[i].summary.step_time);
    }
  }
}

// With --profile they would be of another device than what was advised.
TEST_F(Files, RatesOfTheOwnDevicesKernelsAreNotWrittenBesideAnother) {
  const std::string rates = "cluster:\n  kernels: {copy: {memory: 1 GB/s, provenance: assumed}}\n";
  std::string text = kSmall;
  text.replace(text.find("cluster:\n"), 9, rates);
  const std::string path = write("small.yaml", text), out = (root_ / "out.yaml").string();
  EXPECT_TRUE(with_strategies(path, out, {}, std::nullopt).ok());
  const Result<std::string> refused = with_strategies(path, out, {}, "a100-sxm-80gb");
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(format(refused.errors()), ::testing::HasSubstr("'kernels' is of the cluster's own"));
}

// Of a scenario whose strategies are played by one of their replicas: what has no such replica is
// played whole, here and in the file that is written.
TEST_F(Files, StrategiesThatNoReplicaStandsForArePlayedWhole) {
  const std::string path =
      write("small.yaml", std::string(kSmall) +
                              "simulation: {collectives: fluid, detail: block, replicas: first}\n");
  const Scenario scenario = read_scenario(path, profile_path(path)).value();
  const AdviseSpace asked = space_of("{tensor: 1, pipeline: [2, 4], zero: 0, recompute: none}");
  const Advice advice = advise(scenario, asked, {}).value();
  ASSERT_FALSE(advice.ranking.empty());
  for (const auto& refused : advice.not_played)
    EXPECT_THAT(refused.reason, ::testing::Not(::testing::HasSubstr("replica"))) << refused.reason;
  std::vector<StrategySpec> specs;
  for (const Advised& one : advice.ranking)
    specs.push_back(one.spec);
  const std::string out = (root_ / "out.yaml").string();
  write("out.yaml", with_strategies(path, out, specs, std::nullopt).value());
  const Scenario again = read_scenario(out, profile_path(out)).value();
  bool is_any_alone = false;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    is_any_alone = is_any_alone || again.strategies[i].mesh.data == 1;
    EXPECT_EQ(predict(again, again.strategies[i]).value().summary.step_time,
              advice.ranking[i].summary.step_time);
  }
  EXPECT_TRUE(is_any_alone);
}

// A run is all steps, of subnetworks more of them; hours are of all devices, dollars of hours.
TEST(Advice, CostsWholeRuns) {
  const Scenario scenario =
      parse_scenario(kSmall, "small.yaml", profile_path("small.yaml")).value();
  Options options;
  options.price = HourlyPrice{3};
  options.step_multiplier = 2.5;
  const AdviseSpace asked = space_of(
      "{tensor: 1, pipeline: 1, zero: 0, recompute: none, micro_batch: [1, 2], coverage: [1, "
      "1/2]}");
  const Advice advice = advise(scenario, asked, options).value();
  EXPECT_EQ(advice.points, 4);
  EXPECT_TRUE(advice.has_subnetworks);
  ASSERT_FALSE(advice.ranking.empty());
  for (std::size_t i = 0; i < advice.ranking.size(); ++i) {
    const Advised& it = advice.ranking[i];
    const double steps = 100 * (it.spec.subnetwork ? 2.5 : 1);
    EXPECT_DOUBLE_EQ(it.run.seconds, steps * it.summary.step_time.seconds());
    EXPECT_DOUBLE_EQ(it.run.device_hours, it.run.seconds * 4 / 3600);
    EXPECT_DOUBLE_EQ(it.run.dollars.value(), it.run.device_hours * 3);
    if (i == 0) continue;
    EXPECT_GE(it.run.seconds, advice.ranking[i - 1].run.seconds);
  }
}

// On a network on which most messages meet: those that simulations of all strategies put first.
TEST(Advice, HasTheBestWhereMessagesMeet) {
  const Scenario scenario = parse(kCrowded);
  Options options;
  options.top = 3;
  const Advice few = advise(scenario, scenario.advise, options).value();
  options.top = static_cast<std::size_t>(few.points);
  const Advice all = advise(scenario, scenario.advise, options).value();
  ASSERT_EQ(std::ssize(all.ranking), few.points);
  ASSERT_EQ(few.ranking.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(few.ranking[i].run.seconds, all.ranking[i].run.seconds) << few.ranking[i].spec.name;
  const SearchSpace space = SearchSpace::make(scenario, scenario.advise).value();
  Estimator estimator =
      Estimator::make(scenario.model, scenario.training, scenario.cluster).value();
  SearchOptions unplayed;
  unplayed.best = 1;
  unplayed.passes = 0;
  const StrategySpec first = search(scenario, space, estimator, unplayed).best.front().spec;
  const auto source = std::make_shared<const SourceText>("first", "");
  const Prediction played =
      predict(scenario, {first, resolve_mesh(first, 16).value(), {source, 1, 1, 0}}).value();
  EXPECT_GT(played.summary.step_time, 1.2 * few.ranking.front().summary.step_time)
      << "estimates alone put this one before it: " << first.name;
}

// With errors of a hundredth those a hundredth apart may be the same, those twice as long are not;
// without, nobody knows.
TEST(Advice, SaysWhatCannotBeToldApart) {
  Scenario scenario = parse_scenario(kSmall, "small.yaml", profile_path("small.yaml")).value();
  scenario.cluster.device.errors.reset();
  const AdviseSpace asked = space_of("{recompute: none, coverage: 1}");
  Options options;
  options.top = 8;
  EXPECT_FALSE(advise(scenario, asked, options)->ranking.front().band.has_value());
  options.errors = PredictionErrors{0, 0, 0.01};
  const Advice advice = advise(scenario, asked, options).value();
  const double first = advice.ranking.front().run.seconds;
  const double apart = kBandDeviations * std::sqrt(2) * 0.01;
  for (std::size_t i = 1; i < advice.ranking.size(); ++i) {
    const auto& alike = advice.ranking.front().not_told_apart;
    const bool is_alike = std::find(alike.begin(), alike.end(), i) != alike.end();
    EXPECT_EQ(is_alike, std::log(advice.ranking[i].run.seconds / first) <= apart);
  }
}

}  // namespace
}  // namespace rehearse::advise
