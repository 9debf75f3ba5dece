// The machine: devices on nodes, NICs, switches, and the links between them.
//
// Links are directed; a full-duplex cable is two. Ranks are placed in order: rank r is device
// r mod devices_per_node of node r / devices_per_node. Vertices are called
//   device{rank}   where a node's devices have links of their own: an interconnect, or NICs;
//   node{n}        the node, and the switch among its devices;
//   nic{n N + i}   NIC i of the N of node n;
// and what the kind of network calls its switches. The route of a message is fixed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/base/ids.h"
#include "model/base/units.h"
#include "model/cluster/device.h"
#include "model/cluster/network_spec.h"

namespace rehearse {

// What ids and memory are made for; far above any cluster there is.
inline constexpr std::int64_t kMostDevices = 1'000'000;
inline constexpr std::int64_t kMostLinks = 10'000'000;

enum class InterconnectKind {
  switched,  // every device has a link to one switch (NVSwitch, a PCIe root)
  mesh,      // a link between every two devices
  ring,      // a link to the next device
};
std::string_view to_string(InterconnectKind kind);

// Network adapters of each node; device d of D uses NIC floor(d N / D) of N.
struct NicSpec {
  std::int64_t count = 1;
  LinkSpec bus;  // between a device and its NIC (PCIe)
  std::optional<SourceSpan> where = {};
};

// Differs from what the network's kind says. "node0->leaf0" is one direction, "node0--leaf0" both.
struct LinkException {
  std::string link;
  std::optional<BytesPerSecond> bandwidth;
  std::optional<Seconds> latency;
  std::optional<std::vector<EfficiencyPoint>> efficiency;
  std::optional<SourceSpan> where = {};
};

// Ranks whose device is another, or runs at another speed than its profile says.
struct RankException {
  std::vector<RankId> ranks;
  std::optional<Device> device;
  std::optional<double> speed;  // 0.8: everything takes 1 / 0.8 times as long
  std::optional<SourceSpan> where = {}, device_where = {}, speed_where = {};
};

// How much a rank's computing varies from op to op and from step to step, by chance: every
// compute op takes its time by two factors that are drawn for it, of mean 1 and these standard
// deviations (log-normal). The same for the same seed.
struct Jitter {
  double op = 0;    // drawn for every op
  double step = 0;  // drawn for every step of a rank: its ops are slow together
  std::uint64_t seed = 1;
  std::int64_t steps = 100;  // that are played
};

struct ClusterSpec {
  Device device;
  std::int64_t nodes = 1;
  std::int64_t devices_per_node = 1;
  NetworkSpec network;
  // Between the devices of a node (NVLink, PCIe), per port; none: messages cost only what Messaging
  // says.
  std::optional<LinkSpec> interconnect;
  InterconnectKind interconnect_kind = InterconnectKind::switched;
  // Of each device, shared evenly among the devices that it is joined with; none: one for each.
  std::optional<std::int64_t> ports;
  std::optional<SourceSpan> interconnect_where;
  std::optional<NicSpec> nics;  // none: the network joins the nodes themselves
  std::vector<LinkException> links;
  std::vector<RankException> ranks;
  std::optional<Jitter> jitter;
};

// Whether all ranks have one kind of device, and it runs at its profile's speed.
bool is_uniform(const ClusterSpec& spec);
// Of the link that a device has to the switch among a node's devices, or to each of its neighbours
// there: all ports that go the same way together. An interconnect is needed.
LinkSpec device_link(const ClusterSpec& spec);
// Of the slowest link that a message to another node crosses: what is known of it before the ranks
// are. None: no network.
std::optional<LinkSpec> slowest_network_link(const ClusterSpec& spec);

// Whose messages a vertex passes on, beside those that begin or end there.
enum class Forwards {
  nothing,     // a device
  own_node,    // a node's switch, a NIC: what its own node's devices send and receive
  everything,  // a switch; a node or NIC of a direct network
};

struct Vertex {
  std::string name;
  Forwards forwards = Forwards::everything;
  std::optional<NodeId> node = {};  // that it belongs to
  bool is_nic = false;
};

// Whether it passes on what others send, and is neither a NIC nor a node of a direct network: what
// might add on the way.
inline bool is_switch(const Vertex& vertex) {
  const bool is_router = vertex.node && vertex.forwards == Forwards::everything;
  return vertex.forwards != Forwards::nothing && !vertex.is_nic && !is_router;
}

struct Link : LinkSpec {
  std::string name;  // "node0->leaf0"; the second from one vertex to another: "node0->leaf0#2"
  VertexId from, to;
};

// Links in the order a message crosses them.
using Route = std::vector<LinkId>;

struct Wiring;
class Router;

class Cluster {
 public:
  // Errors: a network that cannot join the nodes, names of nothing, numbers that make no machine,
  // ranks that cannot reach each other. They stand where the spec's spans say.
  static Result<Cluster> build(const ClusterSpec& spec);

  const ClusterSpec& spec() const { return spec_; }
  // Of every rank without an exception.
  const Device& device() const { return spec_.device; }
  const Device& device(RankId rank) const { return numbered_device(device_number(rank)); }
  // Kinds of devices: 0 is that of ranks without an exception. Some numbers may be nobody's.
  std::size_t device_number(RankId rank) const;
  const Device& numbered_device(std::size_t number) const;
  // Work that the rank does in the time in which its device, by its profile, does 1.
  double speed(RankId rank) const;
  std::size_t rank_count() const { return rank_count_; }
  std::size_t node_count() const { return static_cast<std::size_t>(spec_.nodes); }
  NodeId node_of(RankId rank) const;
  // Where its messages begin and end: its device, or its node.
  VertexId vertex_of(RankId rank) const;
  const std::vector<Vertex>& vertices() const;
  const std::vector<Link>& links() const;
  // By the spec's routing and static routes (router.h). Empty from a rank to itself and inside a
  // node without an interconnect or NICs. Thread-safe.
  Route route(RankId from, RankId to) const;
  // The same with other links: bandwidth, latency and efficiency may be changed. O(links)
  Cluster with_links(const std::function<void(Link&)>& change) const;

 private:
  explicit Cluster(ClusterSpec spec);

  ClusterSpec spec_;
  std::size_t rank_count_;
  // What is shared is never changed: copies of a cluster are cheap.
  std::shared_ptr<const Wiring> wiring_;
  std::shared_ptr<const Router> router_;
  // By rank, an index of spec_.ranks + 1, 0: none. Both empty where there are no exceptions.
  std::vector<std::uint32_t> device_exceptions_, speed_exceptions_;
};

}  // namespace rehearse
