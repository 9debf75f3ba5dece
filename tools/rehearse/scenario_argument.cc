#include "tools/rehearse/scenario_argument.h"

#include <fmt/format.h>

#include "model/base/text.h"

namespace rehearse::cli {

std::vector<Option> simulation_options(const std::vector<Option>& own) {
  std::vector<Option> all = {
      {"strategy", "NAME", "only this strategy"},
      {"profile", "FILE", "device profile instead of the scenario's"},
      {"collectives", "HOW", "how they are played: stepwise (preset), fluid or closed-form",
       names_of(fidelities())}};
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

std::variant<Simulated, int> read_simulated(const Arguments& arguments) {
  std::variant<Simulated, int> read = read_scenario_argument(arguments);
  auto* const simulated = std::get_if<Simulated>(&read);
  const auto collectives = arguments.get("collectives");
  if (simulated == nullptr || !collectives) return read;
  for (const Fidelity fidelity : fidelities()) {
    if (to_string(fidelity) == *collectives) simulated->scenario.simulation.collectives = fidelity;
  }
  return read;
}

std::variant<Simulated, int> read_scenario_argument(const Arguments& arguments) {
  const std::string& path = arguments.at("SCENARIO");
  Result<Scenario> scenario =
      read_scenario(path, profile_path(path), arguments.get("profile"), arguments.get("strategy"));
  if (!scenario) return fail(scenario.errors());
  std::vector<ScenarioStrategy> strategies = scenario->strategies;
  if (const auto name = arguments.get("strategy")) {
    const Result<ScenarioStrategy> one = find_strategy(*scenario, *name);
    if (!one) return fail(one.errors());
    strategies = {*one};
  }
  return Simulated{*std::move(scenario), std::move(strategies)};
}

}  // namespace rehearse::cli
