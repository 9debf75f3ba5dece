// Clusters of the tests.
#pragma once

#include "model/cluster/cluster.h"

namespace rehearse::testing {

inline const LinkSpec kCable = {BytesPerSecond::gigabytes_per_second(12.5),
                                Seconds::microseconds(1)};
inline const LinkSpec kNvlink = {BytesPerSecond::gigabytes_per_second(300),
                                 Seconds::microseconds(2)};
inline const LinkSpec kPcie = {BytesPerSecond::gigabytes_per_second(50),
                               Seconds::microseconds(0.5)};

inline ClusterSpec single_node(std::int64_t devices) {
  ClusterSpec spec;
  spec.devices_per_node = devices;
  return spec;
}

inline ClusterSpec crossbar(std::int64_t nodes, std::int64_t devices_per_node = 1) {
  ClusterSpec spec = single_node(devices_per_node);
  spec.nodes = nodes;
  spec.network = {NetworkKind::crossbar, kCable};
  return spec;
}

inline ClusterSpec fat_tree(std::int64_t nodes, std::int64_t nodes_per_leaf,
                            double oversubscription, std::int64_t devices_per_node = 1) {
  ClusterSpec spec = single_node(devices_per_node);
  spec.nodes = nodes;
  spec.network = {NetworkKind::fat_tree, kCable, oversubscription, nodes_per_leaf};
  return spec;
}

inline ClusterSpec with_interconnect(ClusterSpec spec) {
  spec.interconnect = kNvlink;
  return spec;
}

inline ClusterSpec with_nics(ClusterSpec spec, std::int64_t count) {
  spec.nics = NicSpec{count, kPcie};
  return spec;
}

inline ClusterSpec torus(std::vector<std::int64_t> dims) {
  ClusterSpec spec = crossbar(1);
  for (const std::int64_t dim : dims)
    spec.nodes *= dim;
  spec.network.kind = NetworkKind::torus;
  spec.network.dims = std::move(dims);
  return spec;
}

// Groups of a routers with p nodes and h global links each.
inline ClusterSpec dragonfly(std::int64_t nodes, std::int64_t p, std::int64_t a, std::int64_t h) {
  ClusterSpec spec = crossbar(nodes);
  spec.network.kind = NetworkKind::dragonfly;
  spec.network.nodes_per_router = p;
  spec.network.routers_per_group = a;
  spec.network.global_links = h;
  return spec;
}

// A cable for each pair of names.
inline ClusterSpec custom(std::int64_t nodes, std::vector<std::string> switches,
                          const std::vector<std::pair<std::string, std::string>>& cables) {
  ClusterSpec spec = crossbar(nodes);
  spec.network.kind = NetworkKind::custom;
  spec.network.switches = std::move(switches);
  for (const auto& [a, b] : cables)
    spec.network.links.push_back({a, b, kCable, kCable});
  return spec;
}

// Eight nodes (one, where there is no network) joined by a network of the kind.
inline ClusterSpec example(NetworkKind kind) {
  ClusterSpec spec = crossbar(8);
  spec.network.kind = kind;
  switch (kind) {
    case NetworkKind::none:
      return with_interconnect(single_node(8));
    case NetworkKind::crossbar:
    case NetworkKind::full_mesh:
    case NetworkKind::ring:
      return spec;
    case NetworkKind::custom:  // two switches of four nodes, with two cables between them
      return custom(8, {"left", "right"},
                    {{"node0", "left"},
                     {"node1", "left"},
                     {"node2", "left"},
                     {"node3", "left"},
                     {"node4", "right"},
                     {"node5", "right"},
                     {"node6", "right"},
                     {"node7", "right"},
                     {"left", "right"},
                     {"left", "right"}});
    case NetworkKind::dragonfly:
      return dragonfly(8, 1, 2, 2);
    case NetworkKind::fat_tree:
      return fat_tree(8, 4, 2);
    case NetworkKind::leaf_spine:
      spec.network.nodes_per_leaf = 4;
      spec.network.spines = 2;
      return spec;
    case NetworkKind::rail:
      spec.devices_per_node = 4;
      spec.network.nodes_per_leaf = 4;
      return with_nics(with_interconnect(spec), 2);
    case NetworkKind::torus:
      return torus({4, 2});
  }
  REHEARSE_UNREACHABLE("network kind");
}

}  // namespace rehearse::testing
