// Clusters of the tests.
#pragma once

#include "model/cluster/cluster.h"

namespace rehearse::testing {

inline const LinkSpec kCable = {BytesPerSecond::gigabytes_per_second(12.5),
                                Seconds::microseconds(1)};
inline const LinkSpec kNvlink = {BytesPerSecond::gigabytes_per_second(300),
                                 Seconds::microseconds(2)};

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

}  // namespace rehearse::testing
