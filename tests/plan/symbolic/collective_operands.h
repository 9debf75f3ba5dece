// What one member of a collective works on.
#pragma once

#include "tests/plan/symbolic/running_op.h"

namespace rehearse::testing::symbolic {

void touch_operands(RunningOp& collective);

// Operands that are values, and not room for what is received.
std::ptrdiff_t values_of(const RunningOp& collective);

}  // namespace rehearse::testing::symbolic
