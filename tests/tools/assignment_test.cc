#include "tools/summary/assignment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>

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

}  // namespace
}  // namespace rehearse
