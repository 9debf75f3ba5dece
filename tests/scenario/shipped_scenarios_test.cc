// The scenarios that users start from: each is read, planned, verified, laid out and simulated.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/scenario/files.h"
#include "tools/predict/predict.h"

namespace rehearse {
namespace {

class ShippedScenario : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(ShippedScenario, Runs) {
  const Result<Scenario> scenario = read_scenario(GetParam().string(), testing::shipped_profiles());
  ASSERT_TRUE(scenario.ok()) << format(scenario.errors());
  EXPECT_GE(scenario->strategies.size(), 2u) << "there is something to compare";
  bool some_fits = false;  // that others do not is what some scenarios show
  for (const ScenarioStrategy& strategy : scenario->strategies) {
    SCOPED_TRACE(strategy.spec.name);
    const Result<Prediction> prediction = predict(*scenario, strategy);
    ASSERT_TRUE(prediction.ok()) << format(prediction.errors());
    EXPECT_GT(prediction->summary.step_time, Seconds{});
    EXPECT_EQ(prediction->summary.fits.has_value(), !scenario->prices);
    some_fits = some_fits || prediction->summary.fits.value_or(true);
  }
  EXPECT_TRUE(some_fits);
}

TEST_P(ShippedScenario, IsListedInTheReadme) {
  const Result<std::string> readme =
      read_text_file((GetParam().parent_path() / "README.md").string());
  ASSERT_TRUE(readme.ok());
  EXPECT_NE(readme->find("`" + GetParam().filename().string() + "`"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Files, ShippedScenario,
                         ::testing::ValuesIn(testing::yaml_files(testing::kSource / "scenarios")),
                         [](const auto& file) { return testing::test_name(file.param); });

INSTANTIATE_TEST_SUITE_P(Studies, ShippedScenario,
                         ::testing::ValuesIn(testing::yaml_files(testing::kSource /
                                                                 "scenarios/studies")),
                         [](const auto& file) { return testing::test_name(file.param); });

}  // namespace
}  // namespace rehearse
