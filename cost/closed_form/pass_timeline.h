// When the passes of a pipeline run.
//
// A pass begins when the rank has ended the one before and its input has arrived; a message leaves
// when it is made, the one before it over the same boundary has arrived and the receiver has come
// to it, which is one pass before it is needed (model/schedule/actions.h).
//
// Where passes wait for messages, one leaves when it is made and both ends have ended the passes
// before it, and they go on when it, and all others between the same two passes, have arrived.
//
// These are maxima of sums of earlier times. So in a loop of passes, where every pass is as much
// later than in the turn before as it was then, or more than all that it waits for, each goes on
// being later by as much: x(k + 1) = max over j of (x_j(k) + a_j) keeps its growth if the largest
// term's growth is the largest; where passes wait for messages, if all are as much later. From
// there on turns are not followed one by one, exactly.
#pragma once

#include <vector>

#include "cost/closed_form/pass_order.h"

namespace rehearse {

// When a rank's passes of one step have ended, and what it has done.
struct RankPasses {
  double begin = 0;       // of its first pass: what it did before was to wait
  double end = 0;         // of its last pass
  double sent = 0;        // when its last message has arrived, its last exchange has ended
  double busy = 0;        // computing
  double exchanging = 0;  // waiting inside passes for tensor-parallel ranks
  // Where passes wait for messages: when the last one that this rank waits for has arrived, and
  // how long it did nothing but wait for some that were under way.
  double held = 0, waited = 0;
};
struct PassTimeline {
  std::vector<RankPasses> ranks;
  std::vector<double> last_pass;  // by stage: when its last pass has computed
};

// Seconds of the messages over the boundary behind each stage.
struct PassLinks {
  std::vector<double> forward, backward;
};

// Replicas whose messages take other times: these and their ranks' passes are later than others' as
// far as their messages are. So of two of which one is nowhere slower, the other says when both
// have ended.
struct ReplicaLinks {
  std::vector<PassLinks> kinds;
  bool are_merged = false;  // too many: of each boundary the slowest replica's
};
// Those that no other one is nowhere faster than.
ReplicaLinks slowest_replicas(std::vector<PassLinks> kinds);

// stages: by stage; begin: by rank, when it begins the step. O(passes of the order), and turns of
// loops until these are steady
PassTimeline run_passes(const PassOrder& order, const std::vector<const StagePasses*>& stages,
                        const PassLinks& links, const std::vector<double>& begin);

}  // namespace rehearse
