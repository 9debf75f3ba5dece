// Which links a message between two ranks crosses.
//
// A route has the fewest links of all that messages may take: a link leads on where its end is the
// destination, forwards everything, or is of the node that the message comes from or goes to; but
// no NIC passes on what devices send that an interconnect joins. What enters a node ends there. Two
// implementations agree where both apply, which the tests check.
#pragma once

#include <memory>
#include <optional>

#include "model/cluster/wiring.h"

namespace rehearse {

class Router {
 public:
  virtual ~Router() = default;
  // None: there is no way. Both are thread-safe.
  virtual std::optional<Route> route(RankId from, RankId to) const = 0;
  virtual bool reaches(RankId from, RankId to) const = 0;
};

// Which of several links that lead to the destination in the fewest steps: `shortest` picks by the
// destination's number (D-mod-k: Zahavi, "D-Mod-K routing providing non-blocking traffic for shift
// permutations on real life fat trees", 2010), as a switch's forwarding table does; but a node that
// forwards everything takes the first (the dimensions' order, which keeps tori free of cycles of
// waiting messages). `ecmp` picks by a hash of the seed, both ranks and the vertex.
std::size_t choose_way(const Wiring& wiring, Routing routing, std::uint64_t seed, RankId from,
                       RankId to, VertexId at, std::size_t count);

// Of tiers (Wiring::is_tiered), with buses at their feet: up to the first vertex that leads to
// both, and down again. `ecmp` needs that who can meet at all can meet at any vertex of that tier.
// O(links of the route), and nothing is kept.
std::unique_ptr<Router> tier_router(std::shared_ptr<const Wiring> wiring, Routing routing,
                                    std::uint64_t seed);

// Of any links. O(vertices + links) for the first route to a destination.
std::unique_ptr<Router> graph_router(std::shared_ptr<const Wiring> wiring, Routing routing,
                                     std::uint64_t seed);

// Those of the spec before the rule's. Errors: names of nothing, no link between two that follow
// one another, a vertex twice, a vertex that does not forward; located, naming both ends.
Result<std::unique_ptr<Router>> with_static_routes(std::unique_ptr<Router> rule,
                                                   const std::vector<StaticRoute>& routes,
                                                   std::shared_ptr<const Wiring> wiring);

}  // namespace rehearse
