// What is inside the nodes.
#include <fmt/format.h>

#include <algorithm>

#include "model/cluster/wiring.h"

namespace rehearse {
namespace {

// Devices that each is joined with by links of its own.
std::int64_t neighbours_of(const ClusterSpec& spec) {
  switch (spec.interconnect_kind) {
    case InterconnectKind::switched:
      return 1;
    case InterconnectKind::mesh:
      return std::max<std::int64_t>(1, spec.devices_per_node - 1);
    case InterconnectKind::ring:
      return spec.devices_per_node > 2 ? 2 : 1;
  }
  REHEARSE_UNREACHABLE("interconnect");
}

bool has_switch(const ClusterSpec& spec) {
  return spec.interconnect && spec.interconnect_kind == InterconnectKind::switched;
}

bool has_direct_links(const ClusterSpec& spec) {
  return spec.interconnect && spec.interconnect_kind != InterconnectKind::switched;
}

Status check_interconnect(const ClusterSpec& spec) {
  if (!spec.interconnect) return success();
  const Status good = check_link("interconnect", *spec.interconnect);
  if (!good) return good;
  const std::int64_t neighbours = neighbours_of(spec);
  if (spec.ports && *spec.ports < neighbours)
    return error(fmt::format("a {} of {} devices takes {} of each one's ports, which has {}",
                             to_string(spec.interconnect_kind), spec.devices_per_node, neighbours,
                             *spec.ports));
  if (!has_direct_links(spec)) return success();
  if (spec.nodes > 1 && !spec.nics)
    return error(
        fmt::format("devices in a {} have no switch in common that a network could join: "
                    "'nics' are needed",
                    to_string(spec.interconnect_kind)));
  const auto devices = static_cast<double>(spec.devices_per_node * spec.nodes);
  return check_link_count(devices * static_cast<double>(neighbours), "this interconnect");
}

Status check_nics(const ClusterSpec& spec) {
  if (!spec.nics) return success();
  const std::int64_t count = spec.nics->count;
  if (count < 1 || count > spec.devices_per_node)
    return error(fmt::format("{} NICs for {} devices: each has one device or more", count,
                             spec.devices_per_node));
  if (spec.network.kind == NetworkKind::none)
    return error("NICs lead to a network, and there is none");
  return check_link("NICs' bus", spec.nics->bus);
}

Diagnostics located(const Status& wrong, const std::optional<SourceSpan>& where) {
  Diagnostics errors = wrong.errors();
  errors.front().where = where;
  return errors;
}

class Node {
 public:
  Node(const ClusterSpec& spec, std::int64_t number, Wiring& wiring)
      : spec_(spec), id_(number), number_(number), wiring_(wiring) {}

  // Where the network joins it.
  std::vector<VertexId> wire() {
    const bool devices_have_links = spec_.interconnect || spec_.nics;
    std::vector<VertexId> ports;
    if (has_switch(spec_) || !devices_have_links)
      ports = {wiring_.add_vertex(fmt::format("node{}", number_), Forwards::own_node, id_)};
    for (std::int64_t d = 0; d < spec_.devices_per_node; ++d) {
      devices_.push_back(devices_have_links ? add_device(d) : ports.front());
      if (has_switch(spec_)) wiring_.join(devices_.back(), ports.front(), device_link(spec_));
    }
    if (has_direct_links(spec_)) join_devices();
    if (spec_.nics) ports = add_nics();
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      const VertexId device = devices_[d];
      const VertexId port = ports.empty() ? device : ports[d * ports.size() / devices_.size()];
      wiring_.ranks.push_back({device, port, id_});
      if (spec_.nics) wiring_.ranks.back().bus = buses_[d];
    }
    return ports;
  }

 private:
  VertexId add_device(std::int64_t d) {
    // In a ring devices pass on what their neighbours send.
    const bool forwards =
        has_direct_links(spec_) && spec_.interconnect_kind == InterconnectKind::ring;
    return wiring_.add_vertex(fmt::format("device{}", number_ * spec_.devices_per_node + d),
                              forwards ? Forwards::own_node : Forwards::nothing, id_);
  }

  void join_devices() {
    const LinkSpec link = device_link(spec_);
    const std::size_t count = devices_.size();
    const bool is_mesh = spec_.interconnect_kind == InterconnectKind::mesh;
    for (std::size_t a = 0; a + 1 < count; ++a) {
      const std::size_t last = is_mesh ? count - 1 : a + 1;
      for (std::size_t b = a + 1; b <= last; ++b)
        wiring_.connect(devices_[a], devices_[b], link);
    }
    if (!is_mesh && count > 2) wiring_.connect(devices_.back(), devices_.front(), link);
  }

  std::vector<VertexId> add_nics() {
    std::vector<VertexId> nics;
    const auto count = static_cast<std::size_t>(spec_.nics->count);
    for (std::size_t i = 0; i < count; ++i) {
      nics.push_back(
          wiring_.add_vertex(fmt::format("nic{}", static_cast<std::size_t>(number_) * count + i),
                             Forwards::own_node, id_));
      wiring_.vertices[nics.back().index()].is_nic = true;
    }
    for (std::size_t d = 0; d < devices_.size(); ++d)
      buses_.push_back(
          wiring_.join_bus(devices_[d], nics[d * count / devices_.size()], spec_.nics->bus));
    return nics;
  }

  const ClusterSpec& spec_;
  const NodeId id_;
  const std::int64_t number_;
  Wiring& wiring_;
  std::vector<VertexId> devices_;
  std::vector<LinkId> buses_;  // by device
};

}  // namespace

std::string_view to_string(InterconnectKind kind) {
  switch (kind) {
    case InterconnectKind::switched:
      return "switch";
    case InterconnectKind::mesh:
      return "mesh";
    case InterconnectKind::ring:
      return "ring";
  }
  REHEARSE_UNREACHABLE("interconnect");
}

LinkSpec device_link(const ClusterSpec& spec) {
  const std::int64_t neighbours = neighbours_of(spec);
  LinkSpec link = *spec.interconnect;
  link.bandwidth =
      link.bandwidth * static_cast<double>(spec.ports.value_or(neighbours) / neighbours);
  return link;
}

Result<Ports> wire_nodes(const ClusterSpec& spec, Wiring& wiring) {
  const Status joined = check_interconnect(spec);
  if (!joined) return located(joined, spec.interconnect_where);
  const Status adapted = check_nics(spec);
  if (!adapted) return located(adapted, spec.nics->where);
  wiring.has_interconnect = spec.interconnect.has_value();
  Ports ports;
  for (std::int64_t n = 0; n < spec.nodes; ++n)
    ports.push_back(Node(spec, n, wiring).wire());
  // Destinations are counted as the network joins them, unless its kind says otherwise.
  std::size_t number = 0;
  for (const std::vector<VertexId>& of_node : ports) {
    for (const VertexId port : of_node)
      wiring.numbers[port.index()] = number++;
  }
  return ports;
}

}  // namespace rehearse
