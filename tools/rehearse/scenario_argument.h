// The scenario that a command simulates.
#pragma once

#include <variant>
#include <vector>

#include "tools/cli/cli.h"
#include "tools/predict/predict.h"

namespace rehearse::cli {

// --strategy, --profile, --collectives; then those of the command.
std::vector<Option> simulation_options(const std::vector<Option>& own);

struct Simulated {
  Scenario scenario;
  std::vector<ScenarioStrategy> strategies;  // all of it, or the one that is asked for
};
// Or the code to exit with, when it has been said why.
std::variant<Simulated, int> read_simulated(const Arguments& arguments);
// The same without --collectives.
std::variant<Simulated, int> read_scenario_argument(const Arguments& arguments);

}  // namespace rehearse::cli
