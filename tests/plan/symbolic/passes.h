// What passes make of what they read.
#pragma once

#include "tests/plan/symbolic/running_op.h"

namespace rehearse::testing::symbolic {

// sample: the micro-batch, in the global batch, that is loaded; period: how often it was before.
void load_batch(RunningOp& running, std::int64_t sample, int period);

// Forward, backward of all kinds, recompute.
void run_pass(RunningOp& running);

}  // namespace rehearse::testing::symbolic
