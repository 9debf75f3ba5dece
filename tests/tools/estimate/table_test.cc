// What people read of estimates.
#include "tools/predict/estimates.h"

#include <gtest/gtest.h>

#include "tools/predict/predict.h"

namespace rehearse {
namespace {

// Nobody takes an estimate for the collectives that the scenario asks simulations for.
TEST(EstimateTable, SaysWhatCollectivesItPrices) {
  const std::string text =
      "name: small\nmodel: {kind: mlp, image: 8x8x1, hidden: [64], classes: 10}\n"
      "training: {data: synthetic, batch: 16, optimizer: {kind: sgd, lr: 0.1}, dtype: bf16, steps: "
      "10}\ncluster: {device: a100-sxm-80gb, nodes: 1, devices_per_node: 8, interconnect: "
      "{bandwidth: 300 GB/s, latency: 3 us}}\n"
      "strategies:\n  - {name: data, data: auto}\n";
  const auto table_of = [&](const std::string& simulation) {
    const Scenario scenario =
        parse_scenario(text + simulation, "small.yaml", profile_path("small.yaml")).value();
    ScenarioEstimator estimate = ScenarioEstimator::make(scenario).value();
    const ScenarioStrategy& strategy = scenario.strategies.front();
    return print_table(scenario, {estimate(strategy, Contention::played)}).plain();
  };
  const std::string preset = table_of("");
  EXPECT_EQ(preset, table_of("simulation: {collectives: stepwise}\n"));
  EXPECT_EQ(table_of("simulation: {collectives: closed-form}\n"),
            preset +
                "Collectives are priced step by step, not as 'collectives: closed-form' of "
                "'simulation' plays them.\n");
}

}  // namespace
}  // namespace rehearse
