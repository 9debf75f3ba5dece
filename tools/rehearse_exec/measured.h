// What a training run measured, in the form of predictions.
#pragma once

#include <string>

#include "exec/run/train.h"
#include "model/base/diagnostic.h"
#include "tools/summary/summary.h"

namespace rehearse {

StrategySummary summarize_run(const Plan& plan, const Net& net, const exec::TrainingRun& run);

// The trace of the last steps: enough to look at, small enough to load.
std::string last_steps_trace(const Plan& plan, const Timeline& timeline);

// Whether the backend computes in the plan's data type.
Status check_runs(const Plan& plan, const std::string& backend);

}  // namespace rehearse
