// Plays a priced plan on a cluster.
#pragma once

#include <vector>

#include "model/base/diagnostic.h"
#include "model/cluster/cluster.h"
#include "model/plan/fidelity.h"
#include "model/plan/plan.h"
#include "model/plan/prices.h"
#include "model/plan/timeline.h"
#include "model/plan/transition.h"
#include "sim/link_flows.h"

namespace rehearse::sim {

struct Outcome {
  Timeline timeline;
  std::vector<Bytes> link_bytes;      // by link, over all steps
  std::vector<Bytes> sent, received;  // by rank, over all steps: payload
  std::vector<LinkFlow> flows;        // over the watched links, over all steps
};

// The plan must be verified and have as many ranks as the cluster devices, or be one replica's
// (sim/replicas.h). Ops are issued as the executor issues them (plan.h); messages are rendezvous;
// collectives are played as closely as is asked. watched: links of which what flows is kept, beside
// how much it is. Errors: ranks that wait for ever, which a verified plan's do not; times beyond
// the clock.
Result<Outcome> simulate(const Plan& plan, const Cluster& cluster, const Prices& prices,
                         std::int64_t steps, Fidelity collectives = Fidelity::stepwise,
                         const std::vector<LinkId>& watched = {});

// How long a transition takes on an idle cluster, all of its messages at once. Errors: times beyond
// the clock.
Result<Seconds> simulate(const Transition& transition, const Cluster& cluster,
                         const Messaging& messaging);

}  // namespace rehearse::sim
