// The published rows that are small enough to be predicted in a moment: errors stay below what they
// are now, as bench/results has them, and a little.
#include <gtest/gtest.h>

#include <algorithm>

#include "model/scenario/scenario.h"
#include "tools/predict/predict.h"
#include "tools/scoreboard/score.h"

namespace rehearse {
namespace {

const std::string kPublished = REHEARSE_SOURCE_DIR "/bench/published";
const std::vector<std::string> kLarge = {"175B", "340B", "530B", "1T", "g512", "g1024", "g2048"};

struct Bound {
  std::string source;
  double mean;  // of the committed profiles' errors
};

class Published : public ::testing::TestWithParam<Bound> {};

TEST_P(Published, ErrorsStayBelowTheirBounds) {
  const Result<std::vector<Case>> cases = read_cases(kPublished);
  ASSERT_TRUE(cases.ok()) << format(cases.errors());
  std::vector<Predicted> rows;
  std::size_t number = 0;
  for (const Case& one : *cases) {
    if (one.source != GetParam().source) continue;
    // Every fifth of many rows, no pipeline of hundreds of micro-batches, no hundreds of replicas.
    const bool is_large = std::any_of(kLarge.begin(), kLarge.end(), [&](const auto& size) {
      return one.name.find(size) != std::string::npos;
    });
    const bool has_many = one.source == "vtrain" || one.source == "nemo";
    if (is_large || (has_many && number++ % 5 != 0)) continue;
    const Result<double> predicted = one.predict({});
    ASSERT_TRUE(predicted.ok()) << one.name << ": " << format(predicted.errors());
    rows.push_back({&one, *predicted, *predicted});
  }
  ASSERT_FALSE(rows.empty());
  EXPECT_LE(errors_of(rows, &Predicted::committed).mean, GetParam().mean);
}

INSTANTIATE_TEST_SUITE_P(
    Sources, Published,
    ::testing::Values(Bound{"collectives", 0.1}, Bound{"zero-bubble bubbles", 0.02},
                      Bound{"korthikanti", 0.05}, Bound{"narayanan", 0.05},
                      Bound{"narayanan-ptd", 0.05}, Bound{"vtrain", 0.2},
                      Bound{"zero-bubble", 0.08}, Bound{"simumax", 0.11},
                      Bound{"simumax memory", 0.05}, Bound{"korthikanti memory", 0.001},
                      Bound{"mpt-a100", 0.2}, Bound{"mpt-h100", 0.13}, Bound{"torchtitan", 0.2},
                      Bound{"nanotron", 0.15}, Bound{"nemo", 0.09}, Bound{"playbook", 0.3},
                      Bound{"playbook-nodes", 0.7}),
    [](const auto& info) {
      std::string name = info.param.source;
      std::replace_if(
          name.begin(), name.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
      return name;
    });

// What is printed for a row is what is predicted.
TEST(PublishedRow, ScenarioIsWhatIsPredicted) {
  const Result<std::vector<Case>> cases = step_cases(kPublished);
  ASSERT_TRUE(cases.ok());
  const auto row = std::find_if(cases->begin(), cases->end(),
                                [](const Case& one) { return one.name == "22B full"; });
  ASSERT_NE(row, cases->end());
  const Result<Scenario> scenario = parse_scenario(row->scenario, kPublished + "/row.yaml",
                                                   profile_path(kPublished + "/row.yaml"));
  ASSERT_TRUE(scenario.ok()) << format(scenario.errors());
  const auto prediction = predict(*scenario, scenario->strategies.front());
  ASSERT_TRUE(prediction.ok());
  EXPECT_DOUBLE_EQ(prediction->summary.step_time.seconds(), *row->predict({}));
}

}  // namespace
}  // namespace rehearse
