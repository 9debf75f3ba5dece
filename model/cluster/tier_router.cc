#include <algorithm>

#include "model/base/check.h"
#include "model/base/random.h"
#include "model/cluster/router.h"

namespace rehearse {
namespace {

class TierRouter : public Router {
 public:
  TierRouter(std::shared_ptr<const Wiring> wiring, Routing routing, std::uint64_t seed)
      : wiring_(std::move(wiring)), routing_(routing), seed_(seed) {}

  std::optional<Route> route(RankId from, RankId to) const override {
    const Place &source = wiring_->ranks[from.index()], &target = wiring_->ranks[to.index()];
    if (from == to) return Route{};
    const bool is_inside = source.node == target.node && wiring_->has_interconnect;
    if (!source.bus || is_inside) return climb(from, to, source.vertex, target.vertex);
    Route route = {*source.bus};
    const Route between = climb(from, to, source.port, target.port);
    route.insert(route.end(), between.begin(), between.end());
    route.push_back(reverse(*target.bus));
    return route;
  }

  bool reaches(RankId, RankId) const override { return true; }

 private:
  Route climb(RankId from, RankId to, VertexId left, VertexId right) const {
    Route route, down;
    // Both ends stand on one tier and climb together until they meet.
    while (left != right) {
      const std::vector<LinkId>& up = uplinks(left);
      route.push_back(up[choose(from, to, left, up.size())]);
      left = wiring_->links[route.back().index()].to;
      down.push_back(reverse(uplink_to(right, left, from, to)));
      right = wiring_->links[down.back().index()].from;
    }
    route.insert(route.end(), down.rbegin(), down.rend());
    return route;
  }

  const std::vector<LinkId>& uplinks(VertexId vertex) const {
    const std::vector<LinkId>& up = wiring_->uplinks[vertex.index()];
    REHEARSE_CHECK(!up.empty(), "no way up from {}", wiring_->vertices[vertex.index()].name);
    return up;
  }

  // To where the other end has come, if it leads there.
  LinkId uplink_to(VertexId vertex, VertexId other, RankId from, RankId to) const {
    const std::vector<LinkId>& up = uplinks(vertex);
    const std::size_t like_it = choose(from, to, vertex, up.size());
    if (routing_ == Routing::shortest) return up[like_it];
    const auto meets = std::find_if(up.begin(), up.end(), [&](LinkId link) {
      return wiring_->links[link.index()].to == other;
    });
    return meets == up.end() ? up[like_it] : *meets;
  }

  std::size_t choose(RankId from, RankId to, VertexId at, std::size_t count) const {
    return choose_way(*wiring_, routing_, seed_, from, to, at, count);
  }

  const std::shared_ptr<const Wiring> wiring_;
  const Routing routing_;
  const std::uint64_t seed_;
};

}  // namespace

std::size_t choose_way(const Wiring& wiring, Routing routing, std::uint64_t seed, RankId from,
                       RankId to, VertexId at, std::size_t count) {
  if (routing == Routing::ecmp) {
    const std::uint64_t hash =
        philox({from.value(), to.value(), at.value(), 0},
               {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32U)})[0];
    return static_cast<std::size_t>((hash * count) >> 32U);
  }
  const Vertex& vertex = wiring.vertices[at.index()];
  if (vertex.node && vertex.forwards == Forwards::everything) return 0;
  return wiring.numbers[wiring.ranks[to.index()].port.index()] % count;
}

std::unique_ptr<Router> tier_router(std::shared_ptr<const Wiring> wiring, Routing routing,
                                    std::uint64_t seed) {
  return std::make_unique<TierRouter>(std::move(wiring), routing, seed);
}

}  // namespace rehearse
