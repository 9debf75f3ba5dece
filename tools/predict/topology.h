// A cluster as a picture of it: vertices and cables, of large clusters what is alike as one.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "model/cluster/cluster.h"
#include "tools/summary/summary.h"

namespace rehearse {

class Topology {
 public:
  // More than these are not told apart in a picture: first the devices and NICs of a node become
  // one with it, then what has the same name but for numbers. O(vertices + links)
  static constexpr std::size_t kMostVertices = 160, kMostCables = 400;

  explicit Topology(const Cluster& cluster);

  const TopologyPicture& picture() const { return picture_; }
  // By cable; links: those of a step that carry anything.
  std::vector<CableLoad> loads(const std::vector<LinkSummary>& links) const;

 private:
  enum class Fold { nothing, nodes, alike };
  void draw(const Cluster& cluster, Fold fold);
  std::vector<std::size_t> add_vertices(const Cluster& cluster, Fold fold);
  void add_cables(const Cluster& cluster, Fold fold, const std::vector<std::size_t>& vertex_of);
  void find_levels(const std::vector<std::size_t>& first);
  bool is_small() const;

  TopologyPicture picture_;
  std::map<std::string, std::size_t> cables_;  // by name of a link
};

}  // namespace rehearse
