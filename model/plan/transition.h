// Plans that follow one another in a training: what moves between ranks when one takes over from
// the other, as subnetworks are drawn anew.
#pragma once

#include <compare>
#include <vector>

#include "model/net/net.h"
#include "model/plan/plan.h"

namespace rehearse {

// What becomes of the optimizer's moments then: they stay with their parameters, or all start from
// 0 again (as in ResIST, Dun et al., arXiv 2107.00961).
enum class Moments { keep, reset };
std::string_view to_string(Moments moments);

// Of a parameter's state.
struct StateContent {
  bool weights = false, moments = false, master = false;
  bool outer = false;  // what an outer optimizer keeps
  friend auto operator<=>(const StateContent&, const StateContent&) = default;
};

// One message: this of each parameter. What nobody holds any more goes to the rank where it is
// parked, and from there to who holds it next.
struct StateMove {
  RankId from, to;
  StateContent content;
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
// nothing. Each parameter that a rank has (it holds it, or it is parked there) and had not is sent
// to it once, by one of those who had it before (of the same slice), the one that has least to
// send: the optimizer's state, and the weights where the receiver has none (Masking::forward).
// net: whole_net() of both.
Transition transition_between(const Plan& before, const Plan& after, const Net& net,
                              Moments moments = Moments::keep);

// Whether a rank's persistent buffers are the same in both plans, of the same parameters in the
// same order: then they stay where they are (layout.h), and nothing moves.
bool keeps_state(const Plan& before, const Plan& after, RankId rank);
// What a rank puts aside while it goes from its program to one that does not keep its state: its
// weights and its optimizer's state.
Bytes carried_by(const RankProgram& program);

}  // namespace rehearse
