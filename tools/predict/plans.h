// From a scenario to the plans of its strategies.
#pragma once

#include <optional>
#include <string>

#include "model/base/diagnostic.h"
#include "model/plan/plan.h"
#include "model/scenario/scenario.h"
#include "tools/predict/fit_stages.h"

namespace rehearse {

// The device profiles that come with rehearse, those beside the scenario, and those in the
// directory that the environment variable REHEARSE_PROFILES names.
ProfilePath profile_path(const std::string& scenario_path);

// The strategy with this name, or an error that lists them; without a name the only one there is.
Result<ScenarioStrategy> find_strategy(const Scenario& scenario,
                                       const std::optional<std::string>& name);

// The strategy's plan, verified. Errors are located at the strategy.
Result<Plan> plan_of(const Scenario& scenario, const ScenarioStrategy& strategy);
// The same, with its memory where stages were cut by it.
Result<FittedPlan> fitted_plan(const Scenario& scenario, const ScenarioStrategy& strategy);
// The same with stages that are cut by time alone and neither laid out in memory nor verified: for
// who asks for nothing but its step time, of plans so large that this takes minutes.
Result<Plan> unfitted_plan(const Scenario& scenario, const ScenarioStrategy& strategy);

// Errors without a place are the strategy's.
Diagnostics located(Diagnostics errors, const ScenarioStrategy& strategy);

}  // namespace rehearse
