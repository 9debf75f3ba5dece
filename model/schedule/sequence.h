// What changes about a strategy from step to step of a training: a pure function of the step.
#pragma once

#include <cstdint>
#include <optional>

#include "model/schedule/strategy.h"

namespace rehearse {

// The strategy whose plan a step runs, counted from 0.
StrategySpec at_step(StrategySpec strategy, std::int64_t step);
// The first step after this one that runs another plan; none: this one's is the last.
std::optional<std::int64_t> next_change(const StrategySpec& strategy, std::int64_t step);

}  // namespace rehearse
