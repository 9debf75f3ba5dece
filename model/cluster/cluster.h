// The machine: devices on nodes, switches, and the links between them.
//
// Links are directed; a full-duplex cable is two. Ranks are placed in order: rank r is device
// r mod devices_per_node of node r / devices_per_node. Routes are fixed when the cluster is built.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/base/ids.h"
#include "model/base/units.h"
#include "model/cluster/device.h"

namespace rehearse {

struct LinkSpec {
  BytesPerSecond bandwidth;  // of one direction
  Seconds latency;
};

enum class NetworkKind {
  none,      // one node, or devices that talk only through their node's interconnect
  crossbar,  // one non-blocking switch with a link per node
  fat_tree,  // two levels: leaf switches with nodes_per_leaf nodes, and spines
};
std::string_view to_string(NetworkKind kind);
// All kinds, sorted by name, with help.
struct NetworkKindRow {
  NetworkKind kind;
  std::string_view help;
};
const std::vector<NetworkKindRow>& network_kinds();

struct NetworkSpec {
  NetworkKind kind = NetworkKind::none;
  LinkSpec link;
  // fat_tree: node bandwidth under a leaf / the leaf's bandwidth upwards; 1 is non-blocking.
  double oversubscription = 1;
  std::int64_t nodes_per_leaf = 16;
};

// What ids and memory are made for; far above any cluster there is.
inline constexpr std::int64_t kMostDevices = 1'000'000;

struct ClusterSpec {
  Device device;
  std::int64_t nodes = 1;
  std::int64_t devices_per_node = 1;
  NetworkSpec network;
  // Between the devices of a node (NVLink, PCIe); none: messages cost only what Messaging says.
  std::optional<LinkSpec> interconnect;
};

struct Vertex {
  std::string name;
};

struct Link {
  std::string name;  // "node0->leaf0"
  VertexId from, to;
  BytesPerSecond bandwidth;
  Seconds latency;
};

// Links in the order a message crosses them.
using Route = std::vector<LinkId>;

class Cluster {
 public:
  // Errors: a network that cannot join the nodes, numbers that make no machine.
  static Result<Cluster> build(const ClusterSpec& spec);

  const ClusterSpec& spec() const { return spec_; }
  const Device& device() const { return spec_.device; }
  std::size_t rank_count() const { return rank_vertices_.size(); }
  std::size_t node_count() const { return static_cast<std::size_t>(spec_.nodes); }
  NodeId node_of(RankId rank) const;
  const std::vector<Vertex>& vertices() const { return vertices_; }
  const std::vector<Link>& links() const { return links_; }
  // Up to the first switch that leads to both and down again, which is fewest links. Where several
  // spines serve, the destination node's number picks one (D-mod-k: Zahavi, "D-Mod-K routing
  // providing non-blocking traffic for shift permutations on real life fat trees", 2010), as a
  // switch's forwarding table does. Empty from a rank to itself and inside a node without an
  // interconnect. O(links of the route).
  Route route(RankId from, RankId to) const;

 private:
  explicit Cluster(ClusterSpec spec) : spec_(std::move(spec)) {}
  LinkId uplink(VertexId vertex, std::size_t choice) const;

  ClusterSpec spec_;
  std::vector<Vertex> vertices_;
  std::vector<Link> links_;
  std::vector<VertexId> rank_vertices_;
  std::vector<std::vector<LinkId>> uplinks_;  // of every vertex, to the tier above it
};

}  // namespace rehearse
