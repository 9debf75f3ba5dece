// One replica played for all of them.
#pragma once

#include "model/base/diagnostic.h"
#include "model/cluster/cluster.h"
#include "model/plan/plan.h"

namespace rehearse::sim {

// A plan of the first replica's ranks alone, to be played with collectives as a whole (fluid or
// closed form): those with the other replicas count all their members, which come when this
// replica's do. Everything takes exactly as long as with all replicas played, since there is a
// mapping of links that carries every message of the first replica to that of any other, link by
// link, such that
//   - mapped links are alike, and no link is mapped to twice or by two replicas: messages of
//     different replicas never meet;
//   - each collective between replicas needs mapped links as long as their originals: so whoever
//     meets it there gets the same share of the link in every replica.
// Errors: why this does not hold: which ranks, which links. O(links of all routes + footprints)
struct FirstReplica {
  Plan plan;
  std::int64_t replicas = 1;
};
Result<FirstReplica> first_replica(const Plan& plan, const Cluster& cluster);

}  // namespace rehearse::sim
