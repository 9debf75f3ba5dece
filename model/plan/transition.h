// Subnetworks that are drawn anew: what moves from those who held a part to those who hold it now.
#pragma once

#include <vector>

#include "model/net/net.h"
#include "model/plan/plan.h"

namespace rehearse {

// One message: of each parameter the optimizers' state, and the weights where the receiver has none
// (Masking::forward).
struct StateMove {
  RankId from, to;
  std::vector<ParameterId> parameters;  // ascending
  Bytes size;
};

// All messages may be under way at once: nothing that is sent is overwritten by what is received.
struct Transition {
  std::vector<StateMove> moves;  // by receiver, then by sender
  Bytes received(RankId rank) const;
  Bytes total() const;
};

// Between two plans of one strategy, whose ranks differ in what they hold only, and which shard
// nothing. Each parameter that a rank holds and did not is sent to it once, by one of its holders
// before (of the same slice), the one that has least to send. net: whole_net() of both.
Transition transition_between(const Plan& before, const Plan& after, const Net& net);

}  // namespace rehearse
