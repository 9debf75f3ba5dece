// The kinds of network: what stands between the nodes. One function each, one row in the table.
#pragma once

#include <string>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/cluster/cluster.h"

namespace rehearse {

// A cluster under construction.
struct Wiring {
  std::vector<Vertex> vertices;
  std::vector<Link> links;

  VertexId add_vertex(std::string name);
  // A full-duplex cable: one link each way.
  void join(VertexId a, VertexId b, const LinkSpec& link);
};

// Joins the nodes as the network says.
Status wire_none(const NetworkSpec& network, const std::vector<VertexId>& nodes, Wiring& wiring);
Status wire_crossbar(const NetworkSpec& network, const std::vector<VertexId>& nodes, Wiring& wiring);
Status wire_fat_tree(const NetworkSpec& network, const std::vector<VertexId>& nodes, Wiring& wiring);

}  // namespace rehearse
