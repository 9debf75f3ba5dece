// Whose devices a worker's rank exchanges messages with.
#pragma once

#include <cstdint>

#include "cost/closed_form/worker_ranks.h"
#include "model/plan/plan.h"

namespace rehearse {

// As cost/memory.h's peers_of(), of a slice's first one.
std::int64_t worker_peers(const Mesh& mesh, const WorkerRanks& ranks, const WorkerRank& rank);

}  // namespace rehearse
