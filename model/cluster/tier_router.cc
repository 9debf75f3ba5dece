#include "model/base/check.h"
#include "model/cluster/router.h"

namespace rehearse {
namespace {

class TierRouter : public Router {
 public:
  explicit TierRouter(std::shared_ptr<const Wiring> wiring) : wiring_(std::move(wiring)) {}

  std::optional<Route> route(RankId from, RankId to) const override {
    const Place& target = wiring_->ranks[to.index()];
    const std::size_t choice = wiring_->numbers[target.port.index()];
    VertexId left = wiring_->ranks[from.index()].vertex, right = target.vertex;
    Route route, down;
    // Both ends stand on one tier and climb together, choosing alike, until they meet.
    while (left != right) {
      const LinkId up = uplink(left, choice), back = reverse(uplink(right, choice));
      route.push_back(up);
      down.push_back(back);
      left = wiring_->links[up.index()].to;
      right = wiring_->links[back.index()].from;
    }
    route.insert(route.end(), down.rbegin(), down.rend());
    return route;
  }

  bool reaches(RankId, RankId) const override { return true; }

 private:
  LinkId uplink(VertexId vertex, std::size_t choice) const {
    const std::vector<LinkId>& up = wiring_->uplinks[vertex.index()];
    REHEARSE_CHECK(!up.empty(), "no way up from {}", wiring_->vertices[vertex.index()].name);
    return up[choice % up.size()];
  }

  const std::shared_ptr<const Wiring> wiring_;
};

}  // namespace

std::unique_ptr<Router> tier_router(std::shared_ptr<const Wiring> wiring) {
  return std::make_unique<TierRouter>(std::move(wiring));
}

}  // namespace rehearse
