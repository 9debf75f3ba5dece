#include <iostream>

#include "tools/predict/predict.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"SCENARIO"},
          {{"strategy", "NAME", "only this strategy"},
           {"profile", "FILE", "device profile instead of the scenario's"},
           {"json", "", "print JSON instead of a table"},
           {"out", "FILE", "write the JSON to this file, too"}}};
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at("SCENARIO");
  const Result<Scenario> scenario =
      read_scenario(path, profile_path(path), arguments.get("profile"));
  if (!scenario) return fail(scenario.errors());
  std::vector<ScenarioStrategy> strategies = scenario->strategies;
  if (const auto name = arguments.get("strategy")) {
    const Result<ScenarioStrategy> one = find_strategy(*scenario, *name);
    if (!one) return fail(one.errors());
    strategies = {*one};
  }
  Summary summary{scenario->name,
                  "predicted",
                  scenario->prices ? "stated prices" : scenario->cluster.device.name,
                  {}};
  for (const ScenarioStrategy& strategy : strategies) {
    Result<Prediction> prediction = predict(*scenario, strategy);
    if (!prediction) return fail(prediction.errors());
    summary.strategies.push_back(std::move(prediction->summary));
  }
  std::cout << (arguments.has("json") ? print_json(summary) : print_table(summary));
  if (const auto out = arguments.get("out")) {
    const Status written = write_file(*out, print_json(summary));
    if (!written) return fail(written.errors());
  }
  return kDone;
}

}  // namespace

Command simulate_command() {
  return {"simulate", "predict time, memory and bytes of a scenario's strategies", syntax, run};
}

}  // namespace rehearse::cli
