// Subnetworks beside data parallelism: what a step saves, and what is left of it over a run of more
// steps.
#pragma once

#include <string>

#include "model/base/styled_text.h"
#include "model/base/units.h"

namespace rehearse {

struct Summary;
struct StrategySummary;

// What a run takes for each step of data parallelism's run: runs of different strategies are
// compared by it. The step time, with its part of what redrawing masks takes, times the step
// multiplier.
Seconds run_time_per_step(const StrategySummary& summary);

// A table with a row for every strategy with subnetworks: coverage, most state and most
// activations of a rank, bytes sent per step and per run, and the run's time, beside those of plain
// data parallelism where the summary has it; and which other strategies do better. Empty where
// there is no such strategy.
StyledText print_subnetworks(const Summary& summary);

}  // namespace rehearse
