#include <fmt/format.h>

#include <set>

#include "model/cluster/networks/networks.h"

namespace rehearse::networks {
namespace {

Diagnostics wrong(const std::optional<SourceSpan>& where, std::string message) {
  return where ? error_at(*where, std::move(message)) : error(std::move(message));
}

Status add_switches(const NetworkSpec& spec, Wiring& wiring) {
  std::set<std::string> names;
  for (const Vertex& vertex : wiring.vertices)
    names.insert(vertex.name);
  for (const std::string& name : spec.switches) {
    if (!names.insert(name).second)
      return error_about(spec, "switches", fmt::format("two vertices are called '{}'", name));
    wiring.add_vertex(name);
  }
  return success();
}

Status add(const CustomLink& link, const VertexNames& names, Wiring& wiring) {
  const std::string name = fmt::format("link {}->{}", link.from, link.to);
  const auto from = names.find(link.from, name, link.from_where);
  if (!from) return from.errors();
  const auto to = names.find(link.to, name, link.to_where);
  if (!to) return to.errors();
  if (*from == *to) return wrong(link.to_where, fmt::format("a link from {} to itself", link.from));
  const Status there = check_link(name, link.link);
  if (!there) return wrong(link.where, there.errors().front().message);
  wiring.add_link(*from, *to, link.link);
  if (!link.back) return success();
  const Status back = check_link(fmt::format("link {}->{}", link.to, link.from), *link.back);
  if (!back) return wrong(link.where, back.errors().front().message);
  wiring.add_link(*to, *from, *link.back);
  return success();
}

Status wire(const NetworkSpec& spec, const Ports& ports, Wiring& wiring) {
  if (spec.nodes_forward) {
    for (const std::vector<VertexId>& of_node : ports) {
      for (const VertexId port : of_node)
        wiring.vertices[port.index()].forwards = Forwards::everything;
    }
  }
  const Status named = add_switches(spec, wiring);
  if (!named) return named;
  const VertexNames names(wiring);
  for (const CustomLink& link : spec.links) {
    const Status added = add(link, names, wiring);
    if (!added) return added;
  }
  // Links of a list have no tiers, even if there is none.
  wiring.is_tiered = false;
  return success();
}

}  // namespace

Network custom() {
  return {{NetworkKind::custom,
           "switches and links by name",
           {"link", "switches", "links", "nodes_forward"}},
          wire};
}

}  // namespace rehearse::networks
