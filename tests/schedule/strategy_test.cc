#include "model/schedule/strategy.h"

#include <gtest/gtest.h>

#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

std::string message(const auto& result) {
  return result.ok() ? "" : result.errors().front().message;
}

TEST(Strategy, AutoFillsTheDevices) {
  StrategySpec strategy = testing::pipeline("1f1b", 4, 8);
  const Result<Mesh> mesh = resolve_mesh(strategy, 32);
  ASSERT_TRUE(mesh.ok());
  EXPECT_EQ(mesh->data, 8);
  EXPECT_EQ(mesh->pipeline, 4);
  EXPECT_EQ(mesh->workers, 1);
}

TEST(Strategy, SaysWhatDoesNotFit) {
  StrategySpec strategy = testing::pipeline("1f1b", 3, 4);
  EXPECT_EQ(
      message(resolve_mesh(strategy, 8)),
      "data = auto is impossible: the other axes take 3 ranks, and the cluster has 8 devices");
  strategy.data = 2;
  EXPECT_EQ(message(resolve_mesh(strategy, 8)),
            "the axes multiply to 6 ranks, the cluster has 8 devices");
  strategy.data = std::nullopt;
  strategy.pipeline->stages = std::nullopt;
  EXPECT_EQ(message(resolve_mesh(strategy, 8)),
            "both data and pipeline stages are auto: at most one axis can be");
  EXPECT_EQ(
      message(
          micro_batch_samples(testing::pipeline("1f1b", 4, 3), {.data = 2, .pipeline = 4}, 256)),
      "a batch of 256 does not divide into 6 micro-batches (2 replicas with 3 each): 252 and 258 "
      "do");
  EXPECT_EQ(check_pipeline(testing::pipeline("1f1b", 12, 1), {.pipeline = 12}, {11, 9})->message,
            "12 stages, but the model has only 11 blocks");
}

TEST(Strategy, HoldersAreAnExactProduct) {
  SubnetworkSpec subnetwork;
  subnetwork.coverage = {1, 2};
  EXPECT_EQ(*holders_of(subnetwork, 4), 2);
  subnetwork.coverage = {2, 3};
  EXPECT_EQ(*holders_of(subnetwork, 9), 6);
  EXPECT_EQ(
      message(holders_of(subnetwork, 4)),
      "coverage 2/3 of 4 workers is 2.66667 holders, which must be an integer: 0.5 or 0.75 work");
  subnetwork.coverage = {1, 8};
  EXPECT_EQ(message(holders_of(subnetwork, 4)),
            "coverage 0.125 of 4 workers is 0.5 holders, which must be an integer: 0.25 works");
  subnetwork.coverages = {{3, 4}, {3, 4}, {1, 4}, {1, 4}};
  EXPECT_EQ(*holders_of(subnetwork, 4), 2);
  EXPECT_EQ(message(holders_of(subnetwork, 3)),
            "4 coverages for 3 workers, of whom each has its own");
  subnetwork.coverages[3] = {1, 3};
  EXPECT_EQ(message(holders_of(subnetwork, 4)),
            "the coverages add up to 2.083 holders of every unit, which must be an "
            "integer: 2 or 3");
  subnetwork.coverages = {{999'983, 999'984}, {999'978, 999'979}};
  EXPECT_EQ(message(holders_of(subnetwork, 2)),
            "the coverages have no common denominator below 10^9");
  subnetwork.holders = 5;
  EXPECT_EQ(message(holders_of(subnetwork, 4)),
            "5 holders, but only 4 workers, who can be holders once each");
}

// Units of the 9 blocks that somebody holds and nobody else does have no sum to divide; those that
// nobody holds nobody who sends.
TEST(Strategy, SaysWhichSharesItCannotDealOut) {
  const Net net = *build_net(testing::resnet20());
  const auto problem = [&](AssignmentKind kind, std::vector<Fraction> coverages, bool averages) {
    SubnetworkSpec spec = *testing::dealt(kind, std::move(coverages)).subnetwork;
    if (averages) spec.averaging = Averaging::all;
    if (!averages) spec.masking = Masking::backward;
    return check_dealing(spec, 4, net);
  };
  for (const AssignmentKind kind :
       {AssignmentKind::nested, AssignmentKind::random, AssignmentKind::rolling}) {
    const bool random = kind == AssignmentKind::random;
    EXPECT_EQ(problem(kind, {{1, 1}, {1, 1}, {1, 2}, {1, 4}}, true), std::nullopt);
    EXPECT_EQ(problem(kind, {{1, 2}, {5, 9}, {1, 4}, {1, 4}}, true).has_value(), random);
    EXPECT_EQ(problem(kind, {{2, 3}, {5, 9}, {1, 4}, {1, 4}}, true)->key, StrategyKey::averaging);
    EXPECT_EQ(problem(kind, {{1, 1}, {1, 2}, {1, 4}, {1, 4}}, false), std::nullopt);
    EXPECT_EQ(problem(kind, {{17, 18}, {1, 2}, {1, 4}, {1, 4}}, false), std::nullopt)
        << "8.5 of 9 are 9";
    EXPECT_EQ(problem(kind, {{8, 9}, {1, 2}, {1, 4}, {1, 4}}, false)->key, StrategyKey::masking);
  }
  SubnetworkSpec one;
  one.assignment = AssignmentKind::nested;
  one.construction = Construction::width;
  one.coverage = {1, 2};
  StrategySpec strategy;
  strategy.subnetwork = one;
  EXPECT_EQ(message(unit_rule(strategy, {.workers = 1}, net)),
            "a width of one unit, as many as workers, is held whole: 'units' says how many");
  strategy.subnetwork->width_units = 4;
  EXPECT_EQ(unit_rule(strategy, {.workers = 1}, net)->of_width, 4);
}

}  // namespace
}  // namespace rehearse
