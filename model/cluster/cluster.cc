#include "model/cluster/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/range/iterator_range.hpp>

#include "model/cluster/topologies.h"

namespace rehearse {
namespace {

using Wire = Status (*)(const NetworkSpec&, const std::vector<VertexId>&, Wiring&);

struct Topology {
  NetworkKindRow row;
  Wire wire;
};

const std::vector<Topology>& topologies() {
  static const std::vector<Topology> table = {
      {{NetworkKind::crossbar, "one non-blocking switch with a link per node"}, wire_crossbar},
      {{NetworkKind::fat_tree, "leaf switches of nodes_per_leaf nodes under spines"}, wire_fat_tree},
      {{NetworkKind::none, "no network: one node"}, wire_none},
  };
  return table;
}

Status check(const ClusterSpec& spec) {
  if (spec.nodes < 1) return error(fmt::format("{} nodes: a cluster has one or more", spec.nodes));
  if (spec.devices_per_node < 1) return error(fmt::format("{} devices per node: a node has one or more", spec.devices_per_node));
  if (spec.network.kind != NetworkKind::none && spec.network.link.bandwidth <= BytesPerSecond{}) {
    return error("the network's link needs a bandwidth above 0");
  }
  if (spec.network.kind != NetworkKind::fat_tree) return success();
  if (spec.network.oversubscription < 1) {
    return error(fmt::format("oversubscription {:g}: a leaf has at most the bandwidth of its nodes upwards, which is 1",
                             spec.network.oversubscription));
  }
  if (spec.network.nodes_per_leaf < 1) return error("a leaf switch has one node or more");
  return success();
}

}  // namespace

struct Cluster::Graph {
  using Type = boost::compressed_sparse_row_graph<boost::directedS, boost::no_property, LinkId>;
  Type graph;
};

std::string_view to_string(NetworkKind kind) {
  switch (kind) {
    case NetworkKind::none: return "none";
    case NetworkKind::crossbar: return "crossbar";
    case NetworkKind::fat_tree: return "fat-tree";
  }
  REHEARSE_UNREACHABLE("network kind");
}

const std::vector<NetworkKindRow>& network_kinds() {
  static const std::vector<NetworkKindRow> rows = [] {
    std::vector<NetworkKindRow> list;
    for (const Topology& topology : topologies()) list.push_back(topology.row);
    return list;
  }();
  return rows;
}

Result<Cluster> Cluster::build(const ClusterSpec& spec) {
  const Status good = check(spec);
  if (!good) return good.errors();
  Cluster cluster(spec);
  Wiring wiring;
  std::vector<VertexId> nodes;
  for (std::int64_t n = 0; n < spec.nodes; ++n) nodes.push_back(wiring.add_vertex(fmt::format("node{}", n)));
  for (std::int64_t r = 0; r < spec.nodes * spec.devices_per_node; ++r) {
    const VertexId node = nodes[static_cast<std::size_t>(r / spec.devices_per_node)];
    cluster.rank_vertices_.push_back(spec.interconnect ? wiring.add_vertex(fmt::format("device{}", r)) : node);
    if (spec.interconnect) wiring.join(cluster.rank_vertices_.back(), node, *spec.interconnect);
  }
  const auto topology = std::find_if(topologies().begin(), topologies().end(),
                                     [&](const Topology& t) { return t.row.kind == spec.network.kind; });
  const Status wired = topology->wire(spec.network, nodes, wiring);
  if (!wired) return wired.errors();
  cluster.vertices_ = std::move(wiring.vertices);
  cluster.links_ = std::move(wiring.links);
  std::vector<std::pair<std::size_t, std::size_t>> edges;
  std::vector<LinkId> ids;
  for (std::size_t l = 0; l < cluster.links_.size(); ++l) {
    edges.emplace_back(cluster.links_[l].from.index(), cluster.links_[l].to.index());
    ids.emplace_back(l);
  }
  cluster.graph_ = std::make_shared<Graph>(Graph{Graph::Type(boost::edges_are_unsorted_multi_pass, edges.begin(),
                                                             edges.end(), ids.begin(), cluster.vertices_.size())});
  return cluster;
}

NodeId Cluster::node_of(RankId rank) const {
  return NodeId(static_cast<std::int64_t>(rank.index()) / spec_.devices_per_node);
}

Route Cluster::route(RankId from, RankId to) const {
  const std::size_t goal = rank_vertices_[to.index()].index();
  std::size_t at = rank_vertices_[from.index()].index();
  if (at == goal) return {};
  // Every cable is two links, so distances from the goal are distances to it.
  const Graph::Type& graph = graph_->graph;
  std::vector<std::size_t> distance(vertices_.size(), vertices_.size());
  distance[goal] = 0;
  boost::breadth_first_search(
      graph, goal,
      boost::visitor(boost::make_bfs_visitor(boost::record_distances(distance.data(), boost::on_tree_edge()))));
  Route route;
  while (at != goal) {
    std::vector<LinkId> nearer;
    for (const auto edge : boost::make_iterator_range(boost::out_edges(at, graph))) {
      if (distance[boost::target(edge, graph)] + 1 == distance[at]) nearer.push_back(graph[edge]);
    }
    std::sort(nearer.begin(), nearer.end());
    route.push_back(nearer[node_of(to).index() % nearer.size()]);
    at = links_[route.back().index()].to.index();
  }
  return route;
}

}  // namespace rehearse
