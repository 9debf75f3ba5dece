// How a point's strategies are evaluated.
#pragma once

#include <string_view>
#include <vector>

#include "model/scenario/scenario.h"
#include "tools/summary/summary.h"

namespace rehearse::sweep {

// Errors: why the strategy cannot be played; they become the row's reason. Called from several
// threads at once.
using Evaluate = Result<StrategySummary> (*)(const Scenario& scenario,
                                             const ScenarioStrategy& strategy);

struct Method {
  std::string_view name;
  Evaluate evaluate;
};

// Sorted by name; a new one is a row here.
const std::vector<Method>& methods();
Result<Method> find_method(std::string_view name);

}  // namespace rehearse::sweep
