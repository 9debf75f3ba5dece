// What the members of a collective have after it.
#pragma once

#include <vector>

#include "tests/plan/symbolic/running_op.h"
#include "tests/plan/symbolic/value_shares.h"

namespace rehearse::testing::symbolic {

// members: in their group's order, all in the same collective.
void exchange(const std::vector<RunningOp*>& members, const ValueShares& shares);

}  // namespace rehearse::testing::symbolic
