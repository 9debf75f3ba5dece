#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "model/schedule/strategies.h"
#include "tools/predict/predict.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{}, {{"of", "SCENARIO", "instead: the names of this file's strategies, one a line"}}};
}

int print_names(const std::string& path) {
  const Result<Scenario> scenario = read_scenario(path, profile_path(path));
  if (!scenario) return fail(scenario.errors());
  for (const ScenarioStrategy& strategy : scenario->strategies)
    std::cout << strategy.spec.name << "\n";
  return kDone;
}

int run(const Arguments& arguments) {
  if (const auto path = arguments.get("of")) return print_names(*path);
  std::size_t width = 0;
  for (const StrategyRow& row : strategy_rows())
    width = std::max(width, row.name.size());
  for (const StrategyRow& row : strategy_rows()) {
    std::cout << fmt::format("{:<{}}  {}\n{:<{}}    - {{name: x, {}}}\n", row.name, width, row.help,
                             "", width, row.example);
  }
  std::cout
      << "\nSchedules may also be a file of PyTorch's (schedule: mine.csv, beside the scenario), "
         "whose\n"
         "order of passes and messages is kept; 'kept_after_input', from 0 to 1, is the share of\n"
         "an activation that zb-auto counts while its weight gradients wait.\n"
         "\nKeys of several strategies in one entry combine them; the ranks along the axes\n"
         "multiply to the devices, and one axis may be auto.\n";
  return kDone;
}

}  // namespace

Command strategies_command() {
  return {"strategies", "list every way of splitting, and how a scenario asks for it", syntax, run};
}

}  // namespace rehearse::cli
