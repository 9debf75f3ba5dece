#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "model/cluster/router.h"

namespace rehearse {
namespace {

using Ends = std::pair<VertexId, VertexId>;

class StaticRoutes : public Router {
 public:
  StaticRoutes(std::unique_ptr<Router> rule, std::map<Ends, Route> routes,
               std::shared_ptr<const Wiring> wiring)
      : rule_(std::move(rule)), routes_(std::move(routes)), wiring_(std::move(wiring)) {}

  std::optional<Route> route(RankId from, RankId to) const override {
    const Route* known = find(from, to);
    return known == nullptr ? rule_->route(from, to) : *known;
  }

  bool reaches(RankId from, RankId to) const override {
    return find(from, to) != nullptr || rule_->reaches(from, to);
  }

 private:
  const Route* find(RankId from, RankId to) const {
    const auto known =
        routes_.find({wiring_->ranks[from.index()].vertex, wiring_->ranks[to.index()].vertex});
    return known == routes_.end() ? nullptr : &known->second;
  }

  const std::unique_ptr<Router> rule_;
  const std::map<Ends, Route> routes_;
  const std::shared_ptr<const Wiring> wiring_;
};

// One route of the spec, name by name.
class Reader {
 public:
  Reader(const StaticRoute& spec, const Wiring& wiring, const VertexNames& vertices_by_name)
      : spec_(spec), wiring_(wiring), vertices_by_name_(vertices_by_name) {
    names_.push_back(spec.from);
    names_.insert(names_.end(), spec.via.begin(), spec.via.end());
    names_.push_back(spec.to);
  }

  Result<std::pair<Ends, Route>> read() {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const auto vertex = vertices_by_name_.find(names_[i], name(), place(i));
      if (!vertex) return vertex.errors();
      vertices_.push_back(*vertex);
    }
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const Status good = check(i);
      if (!good) return good.errors();
    }
    Route route;
    for (std::size_t i = 0; i + 1 < vertices_.size(); ++i) {
      const auto link =
          std::find_if(wiring_.links.begin(), wiring_.links.end(), [&](const Link& candidate) {
            return candidate.from == vertices_[i] && candidate.to == vertices_[i + 1];
          });
      if (link == wiring_.links.end())
        return wrong(i + 1,
                     fmt::format("there is no link from {} to {}", names_[i], names_[i + 1]));
      route.push_back(LinkId(link - wiring_.links.begin()));
    }
    return std::pair(Ends{vertices_.front(), vertices_.back()}, std::move(route));
  }

 private:
  Status check(std::size_t i) const {
    const VertexId vertex = vertices_[i];
    const auto before = std::find(vertices_.begin(), vertices_.end(), vertex) - vertices_.begin();
    if (static_cast<std::size_t>(before) != i)
      return wrong(i, fmt::format("it passes {} twice, in a cycle", names_[i]));
    const bool is_end = i == 0 || i + 1 == names_.size();
    if (is_end) {
      const bool is_of_ranks =
          std::any_of(wiring_.ranks.begin(), wiring_.ranks.end(),
                      [&](const Place& place) { return place.vertex == vertex; });
      if (is_of_ranks) return success();
      return wrong(i, fmt::format("{} is no end of a message, as '{}' is", names_[i],
                                  wiring_.vertices[wiring_.ranks.front().vertex.index()].name));
    }
    // Devices of the ends' nodes may pass messages on where somebody says so (NCCL's PXN does).
    const Vertex& passed = wiring_.vertices[vertex.index()];
    const auto node_of = [&](VertexId end) { return wiring_.vertices[end.index()].node; };
    if (passed.forwards == Forwards::everything || passed.node == node_of(vertices_.front()) ||
        passed.node == node_of(vertices_.back()))
      return success();
    return wrong(i, fmt::format("{} does not forward messages of other nodes", names_[i]));
  }

  Diagnostics wrong(std::size_t i, const std::string& what) const {
    std::string message = fmt::format("{}: {}", name(), what);
    const auto where = place(i);
    return where ? error_at(*where, std::move(message)) : error(std::move(message));
  }

  std::string name() const { return fmt::format("route from {} to {}", spec_.from, spec_.to); }

  std::optional<SourceSpan> place(std::size_t i) const {
    return i < spec_.names_where.size() ? std::optional(spec_.names_where[i]) : spec_.where;
  }

  const StaticRoute& spec_;
  const Wiring& wiring_;
  const VertexNames& vertices_by_name_;
  std::vector<std::string> names_;
  std::vector<VertexId> vertices_;
};

}  // namespace

Result<std::unique_ptr<Router>> with_static_routes(std::unique_ptr<Router> rule,
                                                   const std::vector<StaticRoute>& routes,
                                                   std::shared_ptr<const Wiring> wiring) {
  if (routes.empty()) return rule;
  const VertexNames names(*wiring);
  std::map<Ends, Route> known;
  for (const StaticRoute& spec : routes) {
    auto route = Reader(spec, *wiring, names).read();
    if (!route) return route.errors();
    const bool is_new = known.insert(*std::move(route)).second;
    if (is_new) continue;
    const std::string message =
        fmt::format("there are two routes from {} to {}", spec.from, spec.to);
    return spec.where ? error_at(*spec.where, message) : error(message);
  }
  return std::unique_ptr<Router>(
      std::make_unique<StaticRoutes>(std::move(rule), std::move(known), std::move(wiring)));
}

}  // namespace rehearse
