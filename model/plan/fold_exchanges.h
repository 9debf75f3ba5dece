// Plans with fewer ops, for clusters whose every rank is to be played.
#pragma once

#include <cstdint>
#include <vector>

#include "model/plan/plan.h"
#include "model/plan/timeline.h"

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
// their members at the same point. O(ops + dependencies)
FoldedPlan fold_exchanges(const Plan& plan);

// What exchanges of one kind take of a folded op's time.
struct InnerExchange {
  OpKind kind = OpKind::all_reduce;
  std::int64_t ops = 0;
  double share = 0;
};
struct InnerExchanges {
  std::vector<std::vector<std::vector<InnerExchange>>> ops;  // by row and folded op
  std::vector<std::uint32_t> rows;                           // by rank
};

// Of a folded plan, with the exchanges inside its ops told apart from computing: the figures are
// those of the plan that was folded.
Breakdown break_down(const Plan& folded, const Timeline& timeline, std::int64_t warm_up,
                     const InnerExchanges& inner);

}  // namespace rehearse
