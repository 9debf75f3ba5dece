// The whole model, put together from its holders.
#pragma once

#include <cstddef>
#include <vector>

#include "exec/backend.h"
#include "exec/run/parameters.h"
#include "exec/transport.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

// By ParameterId, in the backend's type: weights, or their gradients.
using Weights = std::vector<std::vector<std::byte>>;

// Every rank gets every parameter, put together from its slices, from the first rank that holds it
// (which between synchronisations of local steps is one copy among several), or from all that hold
// a share of it, or from where it is parked. Everybody calls this.
Weights assemble(const Plan& plan, const Net& net, const Parameters& own, Backend& backend,
                 Transport& transport);
// The same of the gradients that the last step has left behind: zeros of what is parked.
Weights assemble_gradients(const Plan& plan, const Net& net, const Parameters& own,
                           Backend& backend, Transport& transport);

// Hashes of a rank's parameter classes, by the class's first parameter (and the number of the
// shard or holder, where the weights are sharded or every holder has its own): "61 0f3c..." lines.
// Holders of a class have equal lines as long as their copies are identical.
// Of tensor-parallel ranks the slice is part of the name, and what all hold alike of a class has
// another line ("61= 83d1...").
std::string class_hashes(const Plan& plan, const Net& net, RankId rank, const Parameters& own);

}  // namespace rehearse::exec
