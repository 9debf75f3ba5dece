// A cluster under construction: a forest of tiers, each vertex below those that its uplinks lead
// to.
#pragma once

#include <string>
#include <vector>

#include "model/cluster/cluster.h"

namespace rehearse {

struct Wiring {
  std::vector<Vertex> vertices;
  std::vector<Link> links;
  // Of every vertex, the links to the tier above it, in the order they were joined.
  std::vector<std::vector<LinkId>> uplinks;

  VertexId add_vertex(std::string name);
  // A full-duplex cable: two links, the one upwards first.
  void join(VertexId lower, VertexId upper, const LinkSpec& link);
};

// The other direction of a cable.
inline LinkId reverse(LinkId link) {
  return LinkId(link.value() ^ 1U);
}

}  // namespace rehearse
