#include "tools/summary/assignment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>
#include <set>

#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

ModelSpec mlp() {
  return {"mlp", {{"image", {4, 4, 1}}, {"hidden", {64}}, {"classes", {10}}}};
}

AssignmentSummary summary_of(const StrategySpec& strategy, const ModelSpec& model,
                             std::int64_t ranks) {
  const Plan plan = testing::plan_of({"x", strategy, model, ranks}).value();
  return summarize_assignment(plan, *whole_net(plan));
}

// subnetwork.md, section 1: cyclic windows of 2 of 8 workers have the gap 1 - lambda2, lambda2 =
// [sin(pi c / N) / (c sin(pi / N))]^2; section 2: their sums take c rounds, coloured. One more is
// that of what everybody holds.
TEST(SummarizeAssignment, CyclicWindowsOfOneWidth) {
  const AssignmentSummary s = summary_of(testing::by_width(testing::subnetwork({1, 4})), mlp(), 8);
  EXPECT_EQ(s.units.size(), 8u);
  for (const auto& holders : s.assignment.holders)
    EXPECT_EQ(std::count(holders.begin(), holders.end(), true), 2);
  const double n = 8, c = 2, pi = std::numbers::pi;
  EXPECT_NEAR(s.spectral_gap, 1 - std::pow(std::sin(pi * c / n) / (c * std::sin(pi / n)), 2),
              1e-12);
  EXPECT_TRUE(s.connected);
  EXPECT_EQ(s.groups, 8 + 1);
  EXPECT_EQ(s.collectives, 8 + 1);
  EXPECT_EQ(s.rounds, 2 + 1);
}

// A worker has what is shared and c / N of the rest: here 16 inputs, 16 of 64 hidden units and 10
// classes, whose biases everybody has. State: fp32 weights, gradients and one moment.
TEST(SummarizeAssignment, LoadsOfOneWidth) {
  const AssignmentSummary s = summary_of(testing::by_width(testing::subnetwork({1, 4})), mlp(), 8);
  for (const WorkerLoad& load : s.loads) {
    EXPECT_EQ(load.units, 2);
    EXPECT_EQ(load.parameters, 16 * 16 + 16 + 16 * 10 + 10);
    EXPECT_EQ(load.state.bytes(), load.parameters * 12);
    EXPECT_GT(load.activations, Bytes{});
  }
}

// On average a worker has the shared parameters and C of the others, whatever the order of the axes
// and however many ranks a worker is.
TEST(SummarizeAssignment, MeanLoadFollowsFromTheCoverage) {
  StrategySpec strategy = testing::subnetwork({1, 2}, 4);
  strategy.data = 2;
  strategy.pipeline = PipelineSpec{2, "1f1b", 2};
  strategy.order = {Axis::pipeline, Axis::subnetwork, Axis::tensor, Axis::data};
  const AssignmentSummary s = summary_of(strategy, testing::resnet20(), 16);
  const Net net = *build_net(testing::resnet20());
  std::int64_t shared = 0, in_units = 0, held = 0;
  for (const Parameter& parameter : net.parameters)
    (parameter.unit ? in_units : shared) += parameter.shape.elements();
  for (const WorkerLoad& load : s.loads)
    held += load.parameters;
  EXPECT_EQ(held, 4 * shared + 2 * in_units);
}

TEST(SummarizeAssignment, JsonNamesTheHolders) {
  const AssignmentSummary s = summary_of(testing::subnetwork({1, 2}), testing::resnet20(), 4);
  const auto json = nlohmann::json::parse(print_json(s));
  EXPECT_EQ(json["workers"], 4);
  EXPECT_EQ(json["holders"], 2);
  ASSERT_EQ(json["units"].size(), 9u);
  std::int64_t units = 0;
  for (const auto& load : json["loads"])
    units += load["units"].get<std::int64_t>();
  EXPECT_EQ(units, 9 * 2);
  for (const auto& unit : json["units"]) {
    for (const auto& holder : unit["holders"])
      EXPECT_LT(holder, 4);
  }
}

// ---- unequal holders ---------------------------------------------------------------------------

StrategySpec rolling(std::vector<Fraction> coverages) {
  return testing::redrawn(
      testing::by_width(testing::dealt(AssignmentKind::rolling, std::move(coverages))), 1);
}

// Windows of 2, 1, 1 and 1 of four units from unit 1 on: 1 and 2 are held by 4 and 1, 3 and 0 by
// nobody. Each of these is with a worker that has one unit only: then all have two.
TEST(SummarizeAssignment, ShowsSharesAndWhatIsParked) {
  AssignmentSummary s = summary_of(rolling({{1, 2}, {1, 4}, {1, 5}, {1, 4}}), mlp(), 4);
  std::vector<std::vector<bool>> expected(4, std::vector<bool>(4, false));
  expected[1] = {true, true, true, true};
  expected[2] = {true, false, false, false};
  EXPECT_EQ(s.assignment.holders, expected);
  const std::vector<double> shares = {0.5, 0.25, 0.25, 0.25};
  std::set<std::int64_t> keepers;
  for (std::size_t w = 0; w < 4; ++w) {
    EXPECT_EQ(s.loads[w].share, shares[w]);
    // 10 biases are everybody's; a unit has 16 x 16 + 16 + 16 x 10 weights.
    const std::int64_t unit = 16 * 16 + 16 + 16 * 10;
    EXPECT_EQ(s.loads[w].parameters, 10 + (w == 0 ? 2 : 1) * unit);
    const bool keeps =
        s.parked[0] == static_cast<std::int64_t>(w) || s.parked[3] == static_cast<std::int64_t>(w);
    // fp32 weights, gradients and one moment; of what is parked no gradients.
    EXPECT_EQ(s.loads[w].state.bytes(), 12 * s.loads[w].parameters + (keeps ? 8 * unit : 0));
    if (keeps) keepers.insert(static_cast<std::int64_t>(w));
  }
  EXPECT_EQ(keepers.size(), 2u);
  EXPECT_EQ(keepers.count(0), 0u);
  EXPECT_FALSE(s.parked[1] || s.parked[2]);
  EXPECT_TRUE(s.connected) << "all hold unit 1";
  EXPECT_EQ(s.groups, 1) << "unit 1 is held by all, like what is shared";
}

TEST(SummarizeAssignment, SaysWhatWasAskedForAndWhatCame) {
  const StrategySpec strategy = rolling({{1, 2}, {1, 4}, {1, 5}, {1, 5}});
  AssignmentSummary s = summary_of(strategy, mlp(), 4);
  s.coverages = coverages_asked(strategy, {.workers = 4});
  const std::string text = print_table(s).plain();
  for (const char* line :
       {"workers  coverage  share of the units  of the parameters\n",
        "0             0.5                 0.5             0.5029\n",
        "1            0.25                0.25             0.2543\n",
        "2-3           0.2                0.25             0.2543\n",
        "units are held by 0 to 4 of 4 workers, 1.25 on average\n",
        "2 units are held by nobody: parked with the worker that is marked 'o', and untrained\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
  EXPECT_EQ(text.find("every unit"), std::string::npos);
  const auto json = nlohmann::json::parse(print_json(s));
  EXPECT_EQ(json["holders"], 0);
  EXPECT_EQ(json["holders_mean"], 1.25);
  EXPECT_EQ(json["holders_most"], 4);
  EXPECT_EQ(json["loads"][2]["coverage"], 0.2);
  EXPECT_EQ(json["loads"][2]["share"], 0.25);
  EXPECT_EQ(json["units"][0]["parked"], *s.parked[0]);
  EXPECT_FALSE(json["units"][1].contains("parked"));
}

}  // namespace
}  // namespace rehearse
