// What a training run measured, in the form of predictions.
#pragma once

#include <string>

#include "exec/run/train.h"
#include "model/base/diagnostic.h"
#include "tools/rehearse_exec/backends.h"
#include "tools/summary/summary.h"

namespace rehearse {

// first: the plan of the first step, by which the run is known. Where plans change, the stretch of
// one plan whose step is of median length stands for all: its steps' time and what that went into.
// Traffic and memory are of the whole run.
StrategySummary summarize_run(const Plan& first, const Net& net, const exec::TrainingRun& run);

// The trace of the last steps of the last plan: enough to look at, small enough to load.
std::string last_steps_trace(const exec::TrainingRun& run);

// Whether the backend computes in the plan's data type.
Status check_runs(const Plan& plan, const cli::BackendChoice& backend);

}  // namespace rehearse
