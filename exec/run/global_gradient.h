// The gradient of a step's whole global batch, computed by one rank.
#pragma once

#include <cstdint>

#include "exec/backend.h"
#include "exec/batch_source.h"
#include "exec/run/assemble.h"
#include "model/net/net.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

// Of the mean loss over all samples, one micro-batch after the other as the plan cuts them: the
// statistics of batch norms and what dropout keeps are those of training. net: the plan's whole
// network, or a worker's (net_of()); its activations of a micro-batch are kept as a whole. Empty
// where it does not train a parameter.
Weights global_gradient(const Plan& plan, const Net& net, const Weights& weights, std::int64_t step,
                        Backend& backend, BatchSource& batches);

}  // namespace rehearse::exec
