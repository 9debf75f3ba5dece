// What a cluster's network is described by: links, the kinds of network, routes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/base/units.h"

namespace rehearse {

// What share of its bandwidth a link reaches with messages of so many bytes.
struct EfficiencyPoint {
  Bytes size;
  double share = 1;  // in (0, 1]

  friend bool operator==(const EfficiencyPoint&, const EfficiencyPoint&) = default;
};

struct LinkSpec {
  BytesPerSecond bandwidth;  // of one direction
  Seconds latency;
  std::vector<EfficiencyPoint> efficiency = {};  // by growing size; empty: all of it, always
  double reduction = 1;  // share of its rate, in (0, 1], at which the switch at its end adds

  friend bool operator==(const LinkSpec&, const LinkSpec&) = default;
};

// Linear in the logarithm of the size between points, and constant beyond the first and the last.
// Rounded to 2^-32, so that no machine's logarithm shows in it.
double efficiency(const LinkSpec& link, Bytes message);

enum class NetworkKind {
  none,        // one node, or devices that talk only through their node's interconnect
  crossbar,    // one non-blocking switch with a link per node
  custom,      // switches and links by name
  dragonfly,   // groups of routers, every two of which are joined (Kim et al., ISCA 2008)
  fat_tree,    // two levels: leaf switches with nodes_per_leaf nodes, and spines
  full_mesh,   // a cable between every two nodes
  leaf_spine,  // leaf switches with nodes_per_leaf nodes, and a given number of spines
  rail,        // NIC r of every node under the leaf switches of rail r, and spines over all
  ring,        // a cable to the next node
  torus,       // a grid of nodes in one to three dimensions, each closed to a ring
};
std::string_view to_string(NetworkKind kind);

struct NetworkKindRow {
  NetworkKind kind;
  std::string_view help;
  // Of NetworkSpec's fields, by their names in scenario files: what it takes beside `kind`.
  std::vector<std::string_view> keys;
};
// All kinds, sorted by name.
const std::vector<NetworkKindRow>& network_kinds();

// Of a custom network; ends are names of switches, nodes, NICs or devices.
struct CustomLink {
  std::string from, to;
  LinkSpec link;
  std::optional<LinkSpec> back;  // the other direction; none: there is only one
  std::optional<SourceSpan> where = {}, from_where = {}, to_where = {};
};

enum class Routing {
  shortest,  // fewest links; the destination's number picks among several, the first dimension on
             // nodes that forward
  ecmp,      // fewest links; a seeded hash of source, destination and vertex picks among several
};
std::string_view to_string(Routing routing);

// All that a message between two ranks' vertices crosses, by name: overrides the rule.
struct StaticRoute {
  std::string from, to;
  std::vector<std::string> via;
  std::optional<SourceSpan> where = {};      // of the route
  std::vector<SourceSpan> names_where = {};  // of from, each of via, and to
};

struct NetworkSpec {
  NetworkKind kind = NetworkKind::none;
  LinkSpec link = {};
  // fat_tree, rail: bandwidth under a leaf / the leaf's bandwidth upwards; 1 is non-blocking.
  double oversubscription = 1;
  std::int64_t nodes_per_leaf = 16;        // fat_tree, leaf_spine, rail
  std::int64_t spines = 1;                 // leaf_spine
  std::optional<LinkSpec> uplink = {};     // leaf_spine: from each leaf to each spine; none: `link`
  std::int64_t routers_per_group = 1;      // dragonfly
  std::int64_t nodes_per_router = 1;       // dragonfly
  std::int64_t global_links = 1;           // dragonfly: of each router, to other groups
  std::optional<LinkSpec> local = {};      // dragonfly: between routers of a group; none: `link`
  std::optional<LinkSpec> global = {};     // dragonfly: between groups; none: `link`
  std::vector<std::int64_t> dims = {};     // torus: nodes along each dimension
  std::vector<std::string> switches = {};  // custom
  std::vector<CustomLink> links = {};      // custom
  bool nodes_forward = false;  // custom: nodes pass on what is between others, as in a torus
  Routing routing = Routing::shortest;
  std::uint64_t seed = 0;  // of ecmp
  std::vector<StaticRoute> routes = {};
  // Where its keys' values stand, for errors; empty if it was not read from a file.
  std::map<std::string, SourceSpan, std::less<>> places = {};
};

// An error about the value of a key.
Diagnostics error_about(const NetworkSpec& spec, std::string_view key, std::string message);

}  // namespace rehearse
