#include <iostream>

#include "tools/cli/terminal.h"
#include "tools/predict/explain.h"
#include "tools/rehearse/commands.h"
#include "tools/rehearse/scenario_argument.h"
#include "tools/summary/missing.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"SCENARIO"}, simulation_options({{"json", "", "print JSON instead of tables"}})};
}

int run(const Arguments& arguments) {
  const auto read = read_simulated(arguments);
  if (const int* code = std::get_if<int>(&read)) return *code;
  const auto& [scenario, strategies] = std::get<Simulated>(read);
  std::vector<Explained> all;
  for (const ScenarioStrategy& strategy : strategies) {
    Result<Explained> explained = explain(scenario, strategy);
    if (!explained) return fail(explained.errors());
    all.push_back(*std::move(explained));
    if (arguments.has("json")) continue;
    print(StyledText(all.size() > 1 ? "\n" : "") + print_table(all.back()));
  }
  if (arguments.has("json"))
    std::cout << print_json(scenario.name, all);
  else if (!scenario.prices)
    std::cout << missing_links(scenario.cluster);
  return kDone;
}

}  // namespace

Command explain_command() {
  return {"explain", "show what a step waits for: its critical path, links, what would gain",
          syntax, run};
}

}  // namespace rehearse::cli
