// A cluster under construction.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/cluster/cluster.h"

namespace rehearse {

// Where a rank's messages begin and end, and where its node gives them to the network.
struct Place {
  VertexId vertex, port;
  NodeId node;
  std::optional<LinkId> bus = {};  // from the vertex to the port, where that is a NIC
};

struct Wiring {
  std::vector<Vertex> vertices;
  std::vector<Link> links;
  std::vector<Place> ranks;
  // Of every vertex; those of ports pick among several ways to them.
  std::vector<std::size_t> numbers;
  // Of every vertex, the links to the tier above it, in the order they were joined. As long as
  // there are no others but buses, the vertices are a forest of tiers whose links come in pairs.
  std::vector<std::vector<LinkId>> uplinks;
  bool is_tiered = true;
  bool has_interconnect = false;  // devices of a node reach one another without NICs

  VertexId add_vertex(std::string name, Forwards forwards = Forwards::everything,
                      std::optional<NodeId> node = std::nullopt);
  // A full-duplex cable of a tree: two links, the one upwards first. Any two vertices have one.
  void join(VertexId lower, VertexId upper, const LinkSpec& link);
  // The same between a device and its NIC, which stands at the foot of another tree; the link to
  // it.
  LinkId join_bus(VertexId device, VertexId nic, const LinkSpec& link);
  // One direction, of no tree.
  void add_link(VertexId from, VertexId to, const LinkSpec& link);
  // Both directions.
  void connect(VertexId a, VertexId b, const LinkSpec& link);

 private:
  std::map<std::pair<VertexId, VertexId>, int> parallel_;  // links that add_link() made
};

// The other direction of a cable of a tree, or of a bus.
inline LinkId reverse(LinkId link) {
  return LinkId(link.value() ^ 1U);
}

// Vertices that the network joins, by node: the node itself, or its NICs.
using Ports = std::vector<std::vector<VertexId>>;

// All of a cluster.
Result<std::shared_ptr<const Wiring>> wire(const ClusterSpec& spec);

// Nodes with their devices, NICs and what is between them.
Result<Ports> wire_nodes(const ClusterSpec& spec, Wiring& wiring);
// Changes links as the exceptions say. Errors: names of no link.
Status change_links(const std::vector<LinkException>& exceptions, Wiring& wiring);

class VertexNames {
 public:
  explicit VertexNames(const Wiring& wiring);
  // Errors: there is none of that name; `what` it was asked for, and where.
  Result<VertexId> find(const std::string& name, const std::string& what,
                        const std::optional<SourceSpan>& where) const;

 private:
  std::map<std::string, VertexId> names_;
  std::string first_, last_;
};

// What more links than memory is made for are refused with: "a full mesh of 10000 nodes".
Status check_link_count(double links, const std::string& what);
// Of positive bandwidth, with a latency and a curve that make sense.
Status check_link(std::string_view name, const LinkSpec& link);

}  // namespace rehearse
