// Collectives of values, their gradients and sums of squares, each as a whole.
#pragma once

#include <vector>

#include "tests/plan/symbolic/running_op.h"
#include "tests/plan/symbolic/value_shares.h"

namespace rehearse::testing::symbolic {

// Rows are numbered by slices, and a member has the rows of its slice.
void exchange_values(const std::vector<RunningOp*>& members, const ValueShares& shares);

}  // namespace rehearse::testing::symbolic
