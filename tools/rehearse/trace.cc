#include <iostream>

#include "tools/predict/predict.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"SCENARIO"},
          {{"strategy", "NAME", "which strategy (needed if there are several)"},
           {"profile", "FILE", "device profile instead of the scenario's"},
           {"out", "FILE", "write the trace to this file instead of stdout"}}};
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at("SCENARIO");
  const Result<Scenario> scenario =
      read_scenario(path, profile_path(path), arguments.get("profile"));
  if (!scenario) return fail(scenario.errors());
  const Result<ScenarioStrategy> strategy = find_strategy(*scenario, arguments.get("strategy"));
  if (!strategy) return fail(strategy.errors());
  const Result<Prediction> prediction = predict(*scenario, *strategy);
  if (!prediction) return fail(prediction.errors());
  const std::string trace = chrome_trace(prediction->plan, {{"predicted", &prediction->timeline}});
  const auto out = arguments.get("out");
  if (!out) return std::cout << trace, kDone;
  const Status written = write_file(*out, trace);
  return written ? kDone : fail(written.errors());
}

}  // namespace

Command trace_command() {
  return {"trace", "write a predicted timeline for Perfetto or chrome://tracing", syntax, run};
}

}  // namespace rehearse::cli
