// What becomes of gradients that are complete, and of weights, element by element.
#pragma once

#include "tests/plan/symbolic/running_op.h"

namespace rehearse::testing::symbolic {

void accumulate(RunningOp& running);
void clear_gradients(RunningOp& running);
void sum_squares(RunningOp& running);
void optimizer_step(RunningOp& running);
void outer_gradient(RunningOp& running);
void outer_step(RunningOp& running);

}  // namespace rehearse::testing::symbolic
