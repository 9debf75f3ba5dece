// Plans with fewer ops, for clusters whose every rank is to be played.
#pragma once

#include <vector>

#include "model/plan/plan.h"

namespace rehearse {

// A plan that is only to be played: passes and what tensor-parallel ranks exchange between them are
// one op, as if every rank had its block to itself.
struct FoldedPlan {
  Plan plan;
  // By program and op: the ops of the original that it stands for, in order.
  std::vector<std::vector<std::vector<OpId>>> parts;
};

// A pass goes on into the next one of its kind, micro-batch and lane if nothing comes between them
// but exchanges of tensor-parallel ranks, which wait for it and nobody else waits for: nothing else
// waits for what is inside, and what is inside waits for nothing else. So the folded op, priced
// with the sum of its parts, takes as long as they do where exchanges find their links idle and
// their members at the same point; their time counts as computing. O(ops + dependencies)
FoldedPlan fold_exchanges(const Plan& plan);

}  // namespace rehearse
