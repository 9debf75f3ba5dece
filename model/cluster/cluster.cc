#include "model/cluster/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "model/cluster/networks/networks.h"
#include "model/cluster/router.h"
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

Status wire_network(const NetworkSpec& spec, const Ports& ports, Wiring& wiring) {
  const auto& table = networks::table();
  const auto network = std::find_if(table.begin(), table.end(), [&](const auto& candidate) {
    return candidate.row.kind == spec.kind;
  });
  REHEARSE_CHECK(network != table.end(), "no row for network kind {}", to_string(spec.kind));
  const auto& keys = network->row.keys;
  const bool has_a_link =
      spec.kind != NetworkKind::custom && std::find(keys.begin(), keys.end(), "link") != keys.end();
  const Status link = has_a_link ? check_link("network's link", spec.link) : success();
  return link ? network->wire(spec, ports, wiring) : link;
}

// One rank for each place where its messages begin and end.
std::vector<RankId> ranks_apart(const Wiring& wiring) {
  std::vector<RankId> ranks;
  for (std::size_t r = 0; r < wiring.ranks.size(); ++r) {
    if (r == 0 || wiring.ranks[r].vertex != wiring.ranks[r - 1].vertex) ranks.emplace_back(r);
  }
  return ranks;
}

// Networks that people list themselves may leave somebody out; the others join all by their
// construction.
Status check_reach(const ClusterSpec& spec, const Wiring& wiring, const Router& router) {
  if (spec.network.kind != NetworkKind::custom) return success();
  const auto named = [&](RankId rank) {
    const VertexId vertex = wiring.ranks[rank.index()].vertex;
    return fmt::format("rank {} ({})", rank.index(), wiring.vertices[vertex.index()].name);
  };
  const std::vector<RankId> ranks = ranks_apart(wiring);
  for (const RankId to : ranks) {
    for (const RankId from : ranks) {
      if (!router.reaches(from, to))
        return error_about(spec.network, "links",
                           fmt::format("{} cannot reach {}", named(from), named(to)));
    }
  }
  return success();
}

Result<std::unique_ptr<Router>> router_of(const NetworkSpec& spec,
                                          std::shared_ptr<const Wiring> wiring) {
  std::unique_ptr<Router> rule = wiring->is_tiered ? tier_router(wiring, spec.routing, spec.seed)
                                                   : graph_router(wiring, spec.routing, spec.seed);
  return with_static_routes(std::move(rule), spec.routes, std::move(wiring));
}

// By rank, one more than the index of the exception that gives it such a value. Empty: none does.
template <class Value>
Result<std::vector<std::uint32_t>> exceptions_by_rank(const ClusterSpec& spec,
                                                      std::optional<Value> RankException::*value,
                                                      std::string_view what) {
  const auto ranks = static_cast<std::size_t>(spec.nodes * spec.devices_per_node);
  std::vector<std::uint32_t> by_rank;
  for (std::size_t e = 0; e < spec.ranks.size(); ++e) {
    const RankException& exception = spec.ranks[e];
    const auto wrong = [&](std::string message) {
      return exception.where ? error_at(*exception.where, std::move(message))
                             : error(std::move(message));
    };
    for (const RankId rank : exception.ranks) {
      if (rank.index() >= ranks)
        return wrong(fmt::format("there is no rank {}: the cluster has {}", rank.index(), ranks));
      if (!(exception.*value)) continue;
      by_rank.resize(ranks, 0);
      if (by_rank[rank.index()] != 0)
        return wrong(fmt::format("rank {} has a {} already", rank.index(), what));
      by_rank[rank.index()] = static_cast<std::uint32_t>(e + 1);
    }
  }
  return by_rank;
}

// A wider range is of no machine, and leaves the times that can be counted.
constexpr double kLowestSpeed = 0.001, kHighestSpeed = 1000;

Status check_speeds(const ClusterSpec& spec) {
  for (const RankException& exception : spec.ranks) {
    if (!exception.speed || (*exception.speed >= kLowestSpeed && *exception.speed <= kHighestSpeed))
      continue;
    std::string message = fmt::format("a speed is from {:g} to {:g}, got {:g}", kLowestSpeed,
                                      kHighestSpeed, *exception.speed);
    const auto& where = exception.speed_where ? exception.speed_where : exception.where;
    return where ? error_at(*where, std::move(message)) : error(std::move(message));
  }
  return success();
}

// A node's ranks share what a CPU has, and nothing is known of a cluster that is half of GPUs.
Status check_devices(const ClusterSpec& spec, const std::vector<std::uint32_t>& by_rank) {
  const auto wrong = [&](const RankException& exception, std::string message) {
    const auto& where = exception.device_where ? exception.device_where : exception.where;
    return where ? error_at(*where, std::move(message)) : error(std::move(message));
  };
  for (const RankException& exception : spec.ranks) {
    if (!exception.device || exception.device->kind == spec.device.kind) continue;
    return wrong(exception, fmt::format("{} is a {}, the other ranks' {} a {}: a cluster is all of "
                                        "CPUs or all of GPUs",
                                        exception.device->name, to_string(exception.device->kind),
                                        spec.device.name, to_string(spec.device.kind)));
  }
  if (spec.device.kind != DeviceKind::cpu) return success();
  const auto per_node = static_cast<std::size_t>(spec.devices_per_node);
  for (std::size_t rank = 0; rank < by_rank.size(); ++rank) {
    const std::size_t first = rank / per_node * per_node;
    if (by_rank[rank] == by_rank[first]) continue;
    return wrong(
        spec.ranks[std::max(by_rank[rank], by_rank[first]) - 1],
        fmt::format("ranks {} and {} share a node's CPU: they have one device", first, rank));
  }
  return success();
}

Status check_jitter(const std::optional<Jitter>& jitter) {
  if (!jitter) return success();
  for (const double deviation : {jitter->op, jitter->step}) {
    if (!(deviation >= 0 && deviation <= 1))
      return error(fmt::format("jitter: a deviation is from 0 to 1, got {:g}", deviation));
  }
  return jitter->steps > 0 ? success() : error("jitter: one step or more is played");
}

}  // namespace

bool is_uniform(const ClusterSpec& spec) {
  return std::none_of(spec.ranks.begin(), spec.ranks.end(), [](const RankException& exception) {
    return exception.device || exception.speed.value_or(1) != 1;
  });
}

std::optional<LinkSpec> slowest_network_link(const ClusterSpec& spec) {
  const NetworkSpec& network = spec.network;
  if (network.kind == NetworkKind::none) return std::nullopt;
  LinkSpec slowest = network.link;
  const auto over = [&](const LinkSpec& link) {
    if (link.bandwidth < slowest.bandwidth) slowest = link;
  };
  if (network.kind == NetworkKind::custom) {
    if (!network.links.empty()) slowest = network.links.front().link;
    for (const CustomLink& link : network.links) {
      over(link.link);
      if (link.back) over(*link.back);
    }
  }
  for (const auto& link : {network.uplink, network.local, network.global}) {
    if (link) over(*link);
  }
  if (spec.nics) over(spec.nics->bus);
  return slowest;
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

Result<std::shared_ptr<const Wiring>> wire(const ClusterSpec& spec) {
  const Status size = check_size(spec);
  if (!size) return size.errors();
  auto wiring = std::make_shared<Wiring>();
  const Result<Ports> ports = wire_nodes(spec, *wiring);
  if (!ports) return ports.errors();
  const Status wired = wire_network(spec.network, *ports, *wiring);
  if (!wired) return wired.errors();
  const Status changed = change_links(spec.links, *wiring);
  if (!changed) return changed.errors();
  return std::shared_ptr<const Wiring>(std::move(wiring));
}

Cluster::Cluster(ClusterSpec spec)
    : spec_(std::move(spec)),
      rank_count_(static_cast<std::size_t>(spec_.nodes * spec_.devices_per_node)) {}

Result<Cluster> Cluster::build(const ClusterSpec& spec) {
  const auto wiring = wire(spec);
  if (!wiring) return wiring.errors();
  auto router = router_of(spec.network, *wiring);
  if (!router) return router.errors();
  const Status joined = check_reach(spec, **wiring, **router);
  if (!joined) return joined.errors();
  const Status quick = check_speeds(spec);
  if (!quick) return quick.errors();
  Cluster cluster(spec);
  auto devices = exceptions_by_rank(spec, &RankException::device, "device");
  if (!devices) return devices.errors();
  const Status alike = check_devices(spec, *devices);
  if (!alike) return alike.errors();
  const Status bounded = check_jitter(spec.jitter);
  if (!bounded) return bounded.errors();
  auto speeds = exceptions_by_rank(spec, &RankException::speed, "speed");
  if (!speeds) return speeds.errors();
  cluster.wiring_ = *wiring;
  cluster.router_ = *std::move(router);
  cluster.device_exceptions_ = *std::move(devices);
  cluster.speed_exceptions_ = *std::move(speeds);
  return cluster;
}

Cluster Cluster::with_links(const std::function<void(Link&)>& change) const {
  auto wiring = std::make_shared<Wiring>(*wiring_);
  for (Link& link : wiring->links)
    change(link);
  Cluster changed(*this);
  changed.wiring_ = std::move(wiring);
  return changed;
}

std::size_t Cluster::device_number(RankId rank) const {
  return device_exceptions_.empty() ? 0 : device_exceptions_[rank.index()];
}

const Device& Cluster::numbered_device(std::size_t number) const {
  return number == 0 ? spec_.device : *spec_.ranks[number - 1].device;
}

double Cluster::speed(RankId rank) const {
  const auto exception = speed_exceptions_.empty() ? 0 : speed_exceptions_[rank.index()];
  return exception == 0 ? 1 : *spec_.ranks[exception - 1].speed;
}

NodeId Cluster::node_of(RankId rank) const {
  return NodeId(static_cast<std::int64_t>(rank.index()) / spec_.devices_per_node);
}

VertexId Cluster::vertex_of(RankId rank) const {
  return wiring_->ranks[rank.index()].vertex;
}

const std::vector<Vertex>& Cluster::vertices() const {
  return wiring_->vertices;
}

const std::vector<Link>& Cluster::links() const {
  return wiring_->links;
}

Route Cluster::route(RankId from, RankId to) const {
  std::optional<Route> route = router_->route(from, to);
  REHEARSE_CHECK(route.has_value(), "rank {} cannot reach rank {}", from.index(), to.index());
  return *std::move(route);
}

}  // namespace rehearse
