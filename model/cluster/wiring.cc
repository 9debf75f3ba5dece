#include "model/cluster/wiring.h"

#include <fmt/format.h>

namespace rehearse {

VertexId Wiring::add_vertex(std::string name) {
  vertices.push_back({std::move(name)});
  uplinks.emplace_back();
  return VertexId(vertices.size() - 1);
}

void Wiring::join(VertexId lower, VertexId upper, const LinkSpec& link) {
  const auto add = [&](VertexId from, VertexId to) {
    links.push_back({fmt::format("{}->{}", vertices[from.index()].name, vertices[to.index()].name),
                     from, to, link.bandwidth, link.latency});
  };
  uplinks[lower.index()].emplace_back(links.size());
  add(lower, upper);
  add(upper, lower);
}

}  // namespace rehearse
