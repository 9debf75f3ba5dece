// Workers of subnetworks that have failed: what the others go on with.
#pragma once

#include "model/scenario/scenario.h"
#include "tools/cli/cli.h"

namespace rehearse::cli {

inline const Option kLostOption = {
    "lost", "WORKERS", "subnetworks: plan for those left without these workers, such as 2 or 1,3"};

// The strategy that --strategy names, without the workers that --lost does. Errors:
// find_strategy()'s; no numbers, or no subnetworks.
Result<ScenarioStrategy> strategy_left(const Scenario& scenario, const Arguments& arguments);

}  // namespace rehearse::cli
