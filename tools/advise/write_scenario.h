// A scenario file with other strategies: the plan of an advice, to be simulated or trained.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/scenario/scenario.h"

namespace rehearse::advise {

// As an item of `strategies` has it: "{name: ddp, data: {ranks: 8, zero: 1}}". Of what a search can
// choose; the rest has its default.
std::string print_strategy(const StrategySpec& spec);

// The file's text with these strategies in place of its own and without its `sweep` and `advise`.
// What it names relative to itself it names relative to `out`. profile: replaces the cluster's
// device. Errors: the file cannot be read; its sections do not begin on lines of their own.
Result<std::string> with_strategies(const std::string& path, const std::string& out,
                                    const std::vector<StrategySpec>& strategies,
                                    const std::optional<std::string>& profile);

}  // namespace rehearse::advise
