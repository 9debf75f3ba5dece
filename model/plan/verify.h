// Whether a plan can run and means what training means.
//
// Checks in this order, each only if those before it found nothing: structure (numbers in range,
// dependencies backwards, one lane of a kind), pairing (every send has its receive, collectives
// agree), meaning (forward before backward, every gradient reduced once over exactly its holders,
// what tensor-parallel ranks exchange, micro-batches added up in the fixed tree where sums are
// exact, weights that come together after local steps), buffers (allocated before use, freed once,
// no two ops race, gradients complete before they are read), messages (of one micro-batch at both
// ends), the order of collectives over overlapping groups, and a dry run with rendezvous messages
// (no deadlock; if there is one, every waiting op is named). Errors name both ends.
#pragma once

#include "model/base/diagnostic.h"
#include "model/plan/plan.h"
#include "model/plan/plan_text.h"

namespace rehearse {

// places: where the plan was read from, so that errors can point there.
Status verify(const Plan& plan, const PlanPlaces* places = nullptr);
// The same of a plan for a network that no model kind builds. net: all of it, as whole_net() says.
Status verify(const Plan& plan, const Net& net);

// "op 12 (receive, tag 3)": as errors and watchdogs name an op.
std::string describe_op(const RankProgram& program, OpId op);

}  // namespace rehearse
