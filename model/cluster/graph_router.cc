#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/graph/filtered_graph.hpp>
#include <deque>
#include <limits>
#include <map>
#include <mutex>

#include "model/base/check.h"
#include "model/cluster/router.h"

namespace rehearse {
namespace {

struct EdgeLink {
  LinkId link;
};
using Graph = boost::compressed_sparse_row_graph<boost::directedS, boost::no_property, EdgeLink>;

// An edge for every link, from where the link begins or, reversed, from where it ends; the edges of
// a vertex in the order of their links.
Graph graph_of(const Wiring& wiring, bool reversed) {
  std::vector<std::pair<std::size_t, std::size_t>> edges;
  std::vector<EdgeLink> properties;
  for (std::size_t l = 0; l < wiring.links.size(); ++l) {
    const Link& link = wiring.links[l];
    edges.emplace_back(link.from.index(), link.to.index());
    if (reversed) std::swap(edges.back().first, edges.back().second);
    properties.push_back({LinkId(l)});
  }
  return {boost::edges_are_unsorted_multi_pass, edges.begin(), edges.end(), properties.begin(),
          wiring.vertices.size()};
}

// Messages that one rule fits: to a vertex, from other nodes or from inside its own.
struct Destination {
  VertexId vertex;
  bool from_inside = false;

  friend auto operator<=>(const Destination&, const Destination&) = default;
};

// Which links lead on towards a destination (router.h).
bool leads_on(const Wiring& wiring, const Link& link, const Destination& destination) {
  const Vertex &from = wiring.vertices[link.from.index()], &to = wiring.vertices[link.to.index()];
  const auto home = wiring.vertices[destination.vertex.index()].node;
  // What has entered the destination's node stays there.
  if (from.forwards != Forwards::everything && from.node == home && to.node != home &&
      !destination.from_inside)
    return false;
  // Between devices that an interconnect joins no NIC passes on anything.
  if (destination.from_inside && wiring.has_interconnect && to.is_nic) return false;
  if (link.to == destination.vertex || to.forwards == Forwards::everything) return true;
  return to.forwards == Forwards::own_node && (to.node == home || to.node == from.node);
}

// Of the edges of a graph; made to be copied, and without arguments, by Boost.
struct LeadsOn {
  const Wiring* wiring = nullptr;
  const Graph* graph = nullptr;
  Destination destination;

  bool operator()(Graph::edge_descriptor edge) const {
    return leads_on(*wiring, wiring->links[(*graph)[edge].link.index()], destination);
  }
};

using Distance = std::uint32_t;
constexpr Distance kNoWay = std::numeric_limits<Distance>::max();
// Of tables of distances; beyond it the oldest are forgotten, and worked out again when needed.
constexpr std::size_t kMostTableBytes = std::size_t{256} << 20U;

class GraphRouter : public Router {
 public:
  GraphRouter(std::shared_ptr<const Wiring> wiring, Routing routing, std::uint64_t seed)
      : wiring_(std::move(wiring)),
        routing_(routing),
        seed_(seed),
        forwards_(graph_of(*wiring_, false)),
        backwards_(graph_of(*wiring_, true)) {}

  std::optional<Route> route(RankId from, RankId to) const override {
    const Destination destination = destination_of(from, to);
    const auto distances = distances_to(destination);
    Route route;
    VertexId at = wiring_->ranks[from.index()].vertex;
    if ((*distances)[at.index()] == kNoWay) return std::nullopt;
    while (at != destination.vertex) {
      const std::vector<LinkId> ways = ways_from(at, destination, *distances);
      route.push_back(ways[choose_way(*wiring_, routing_, seed_, from, to, at, ways.size())]);
      at = wiring_->links[route.back().index()].to;
    }
    return route;
  }

  bool reaches(RankId from, RankId to) const override {
    const auto distances = distances_to(destination_of(from, to));
    return (*distances)[wiring_->ranks[from.index()].vertex.index()] != kNoWay;
  }

 private:
  using Distances = std::vector<Distance>;

  Destination destination_of(RankId from, RankId to) const {
    const Place &source = wiring_->ranks[from.index()], &target = wiring_->ranks[to.index()];
    return {target.vertex, source.node == target.node};
  }

  // Links that are one step nearer to the destination at their end.
  std::vector<LinkId> ways_from(VertexId at, const Destination& destination,
                                const Distances& distances) const {
    std::vector<LinkId> ways;
    for (auto [edge, end] = boost::out_edges(at.index(), forwards_); edge != end; ++edge) {
      const LinkId id = forwards_[*edge].link;
      const Link& link = wiring_->links[id.index()];
      if (distances[link.to.index()] != kNoWay &&
          distances[link.to.index()] + 1 == distances[at.index()] &&
          leads_on(*wiring_, link, destination))
        ways.push_back(id);
    }
    REHEARSE_CHECK(!ways.empty(), "no way on from {}", wiring_->vertices[at.index()].name);
    return ways;
  }

  std::shared_ptr<const Distances> distances_to(const Destination& destination) const {
    const std::lock_guard lock(mutex_);
    if (const auto known = tables_.find(destination); known != tables_.end()) return known->second;
    const std::size_t table_bytes = wiring_->vertices.size() * sizeof(Distance);
    if (!order_.empty() && (order_.size() + 1) * table_bytes > kMostTableBytes) {
      tables_.erase(order_.front());
      order_.pop_front();
    }
    order_.push_back(destination);
    return tables_[destination] = search(destination);
  }

  std::shared_ptr<const Distances> search(const Destination& destination) const {
    auto distances = std::make_shared<Distances>(wiring_->vertices.size(), kNoWay);
    (*distances)[destination.vertex.index()] = 0;
    const boost::filtered_graph<Graph, LeadsOn> graph(
        backwards_, LeadsOn{wiring_.get(), &backwards_, destination});
    boost::breadth_first_search(graph, destination.vertex.index(),
                                boost::visitor(boost::make_bfs_visitor(boost::record_distances(
                                    distances->data(), boost::on_tree_edge()))));
    return distances;
  }

  const std::shared_ptr<const Wiring> wiring_;
  const Routing routing_;
  const std::uint64_t seed_;
  const Graph forwards_, backwards_;
  mutable std::mutex mutex_;
  mutable std::map<Destination, std::shared_ptr<const Distances>> tables_;
  mutable std::deque<Destination> order_;  // of tables_, the oldest first
};

}  // namespace

std::unique_ptr<Router> graph_router(std::shared_ptr<const Wiring> wiring, Routing routing,
                                     std::uint64_t seed) {
  return std::make_unique<GraphRouter>(std::move(wiring), routing, seed);
}

}  // namespace rehearse
