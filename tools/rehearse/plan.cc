#include <iostream>

#include "model/plan/plan_text.h"
#include "tools/predict/predict.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"SCENARIO"},
          {{"strategy", "NAME", "which strategy (needed if there are several)"},
           {"profile", "FILE",
            "device profile instead of the scenario's: stages are cut by its prices"},
           {"out", "FILE", "write the plan to this file instead of stdout"}}};
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at("SCENARIO");
  const Result<Scenario> scenario =
      read_scenario(path, profile_path(path), arguments.get("profile"));
  if (!scenario) return fail(scenario.errors());
  const Result<ScenarioStrategy> strategy = find_strategy(*scenario, arguments.get("strategy"));
  if (!strategy) return fail(strategy.errors());
  const Result<Plan> plan = plan_of(*scenario, *strategy);
  if (!plan) return fail(plan.errors());
  const auto out = arguments.get("out");
  if (!out) return std::cout << print(*plan), kDone;
  const Status written = write_file(*out, print(*plan));
  return written ? kDone : fail(written.errors());
}

}  // namespace

Command plan_command() {
  return {"plan", "print a strategy's plan", syntax, run};
}

}  // namespace rehearse::cli
