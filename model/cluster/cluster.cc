#include "model/cluster/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "model/cluster/networks/networks.h"
#include "model/cluster/wiring.h"

namespace rehearse {
namespace {

Status check_size(const ClusterSpec& spec) {
  if (spec.nodes < 1) return error(fmt::format("{} nodes: a cluster has one or more", spec.nodes));
  if (spec.devices_per_node < 1) {
    return error(fmt::format("{} devices per node: a node has one or more", spec.devices_per_node));
  }
  if (spec.devices_per_node <= kMostDevices / spec.nodes) return success();
  return error(fmt::format("{} nodes of {} devices: a cluster has at most {} devices", spec.nodes,
                           spec.devices_per_node, kMostDevices));
}

Status check_link(std::string_view name, const LinkSpec& link) {
  if (!(link.bandwidth > BytesPerSecond{})) {
    return error(fmt::format("the {} needs a bandwidth above 0", name));
  }
  if (link.latency >= Seconds{}) return success();
  return error(fmt::format("the {} has a latency below 0", name));
}

Status check_network(const NetworkSpec& network) {
  if (network.kind == NetworkKind::none) return success();
  const Status link = check_link("network's link", network.link);
  if (!link || network.kind != NetworkKind::fat_tree) return link;
  if (!(network.oversubscription >= 1) || !std::isfinite(network.oversubscription)) {
    return error(
        fmt::format("oversubscription {:g}: a leaf has at most the bandwidth of its nodes "
                    "upwards, which is 1",
                    network.oversubscription));
  }
  if (network.nodes_per_leaf < 1) return error("a leaf switch has one node or more");
  return success();
}

Status check(const ClusterSpec& spec) {
  const Status size = check_size(spec);
  if (!size) return size;
  const Status interconnect =
      spec.interconnect ? check_link("interconnect", *spec.interconnect) : success();
  if (!interconnect) return interconnect;
  return check_network(spec.network);
}

Status wire(const ClusterSpec& spec, const std::vector<VertexId>& nodes, Wiring& wiring) {
  const auto& table = networks::table();
  const auto network = std::find_if(table.begin(), table.end(), [&](const auto& candidate) {
    return candidate.row.kind == spec.network.kind;
  });
  REHEARSE_CHECK(network != table.end(), "no row for network kind {}",
                 to_string(spec.network.kind));
  return network->wire(spec.network, nodes, wiring);
}

}  // namespace

std::string_view to_string(NetworkKind kind) {
  switch (kind) {
    case NetworkKind::none:
      return "none";
    case NetworkKind::crossbar:
      return "crossbar";
    case NetworkKind::fat_tree:
      return "fat-tree";
  }
  REHEARSE_UNREACHABLE("network kind");
}

const std::vector<NetworkKindRow>& network_kinds() {
  static const std::vector<NetworkKindRow> rows = [] {
    std::vector<NetworkKindRow> list;
    for (const networks::Network& network : networks::table())
      list.push_back(network.row);
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
  for (std::int64_t n = 0; n < spec.nodes; ++n) {
    nodes.push_back(wiring.add_vertex(fmt::format("node{}", n)));
    for (std::int64_t d = 0; d < spec.devices_per_node; ++d) {
      const auto rank = n * spec.devices_per_node + d;
      cluster.rank_vertices_.push_back(
          spec.interconnect ? wiring.add_vertex(fmt::format("device{}", rank)) : nodes.back());
      if (!spec.interconnect) continue;
      wiring.join(cluster.rank_vertices_.back(), nodes.back(), *spec.interconnect);
    }
  }
  const Status wired = wire(spec, nodes, wiring);
  if (!wired) return wired.errors();
  cluster.vertices_ = std::move(wiring.vertices);
  cluster.links_ = std::move(wiring.links);
  cluster.uplinks_ = std::move(wiring.uplinks);
  return cluster;
}

NodeId Cluster::node_of(RankId rank) const {
  return NodeId(static_cast<std::int64_t>(rank.index()) / spec_.devices_per_node);
}

Route Cluster::route(RankId from, RankId to) const {
  const std::size_t choice = node_of(to).index();
  VertexId left = rank_vertices_[from.index()], right = rank_vertices_[to.index()];
  Route route, down;
  // Both ends stand on one tier and climb together, choosing alike, until they meet.
  while (left != right) {
    const LinkId up = uplink(left, choice), back = reverse(uplink(right, choice));
    route.push_back(up);
    down.push_back(back);
    left = links_[up.index()].to;
    right = links_[back.index()].from;
  }
  route.insert(route.end(), down.rbegin(), down.rend());
  return route;
}

LinkId Cluster::uplink(VertexId vertex, std::size_t choice) const {
  const std::vector<LinkId>& up = uplinks_[vertex.index()];
  REHEARSE_CHECK(!up.empty(), "no way up from {}", vertices_[vertex.index()].name);
  return up[choice % up.size()];
}

}  // namespace rehearse
