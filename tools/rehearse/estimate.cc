#include <iostream>

#include "tools/cli/terminal.h"
#include "tools/predict/estimates.h"
#include "tools/rehearse/commands.h"
#include "tools/rehearse/scenario_argument.h"

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
  const auto read = read_scenario_argument(arguments);
  if (const int* code = std::get_if<int>(&read)) return *code;
  const auto& [scenario, strategies] = std::get<Simulated>(read);
  const Status can_write = check_out(arguments);
  if (!can_write) return fail(can_write.errors());
  Result<ScenarioEstimator> estimate = ScenarioEstimator::make(scenario);
  if (!estimate) return fail(estimate.errors());
  std::vector<StrategyEstimate> all;
  for (const ScenarioStrategy& strategy : strategies)
    all.push_back((*estimate)(strategy, Contention::played));
  print(arguments.has("json") ? StyledText(print_json(scenario, all)) : print_table(scenario, all));
  if (const auto out = arguments.get("out")) {
    const Status written = write_file(*out, print_json(scenario, all));
    if (!written) return fail(written.errors());
  }
  return kDone;
}

}  // namespace

Command estimate_command() {
  return {"estimate",
          "the same at once, in closed form; small plans are played where messages meet", syntax,
          run};
}

}  // namespace rehearse::cli
