// Predicted against measured.
#pragma once

#include <string>

#include "model/base/diagnostic.h"
#include "model/base/styled_text.h"
#include "tools/summary/summary.h"

namespace rehearse {

// Whether figures of a prediction and of a run may be held against each other.
bool have_same_plan(const StrategySummary& predicted, const StrategySummary& measured);
// "strategy 'ddp' was predicted with plan ..., measured with plan ...: not the same plan"
std::string differing_plans(const StrategySummary& predicted, const StrategySummary& measured);

// For every strategy that both have with the same plan: step time and what it went into on the rank
// that computes longest; the kinds of ops that all ranks compute, in the mean, which add up; bytes,
// memory. Two predictions, or two measurements, are called the first and the second.
// Errors: no strategy in common, or one whose plans differ.
Result<StyledText> print_diff(const Summary& predicted, const Summary& measured);

}  // namespace rehearse
