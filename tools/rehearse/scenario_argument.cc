#include "tools/rehearse/scenario_argument.h"

#include <fmt/format.h>

#include "model/base/text.h"

namespace rehearse::cli {
namespace {

Result<Fidelity> fidelity_of(const std::string& name) {
  std::vector<std::string> names;
  for (const Fidelity fidelity : fidelities()) {
    if (to_string(fidelity) == name) return fidelity;
    names.emplace_back(to_string(fidelity));
  }
  return error(fmt::format("--collectives is one of {}, not '{}'", join(names, ", "), name));
}

}  // namespace

std::vector<Option> simulation_options(const std::vector<Option>& own) {
  std::vector<Option> all = {
      {"strategy", "NAME", "only this strategy"},
      {"profile", "FILE", "device profile instead of the scenario's"},
      {"collectives", "HOW", "how they are played: stepwise (preset), fluid or closed-form"}};
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

std::variant<Simulated, int> read_simulated(const Arguments& arguments) {
  std::optional<Fidelity> collectives;
  if (const auto how = arguments.get("collectives")) {
    const Result<Fidelity> fidelity = fidelity_of(*how);
    if (!fidelity) return fail(fidelity.errors()), kWrongCommandLine;
    collectives = *fidelity;
  }
  std::variant<Simulated, int> read = read_scenario_argument(arguments);
  if (auto* simulated = std::get_if<Simulated>(&read); simulated != nullptr && collectives)
    simulated->scenario.simulation.collectives = *collectives;
  return read;
}

std::variant<Simulated, int> read_scenario_argument(const Arguments& arguments) {
  const std::string& path = arguments.at("SCENARIO");
  Result<Scenario> scenario = read_scenario(path, profile_path(path), arguments.get("profile"));
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
