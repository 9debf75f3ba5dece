#include "model/cluster/wiring.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/base/text.h"

namespace rehearse {
namespace {

Diagnostics error_maybe_at(const std::optional<SourceSpan>& where, std::string message) {
  return where ? error_at(*where, std::move(message)) : error(std::move(message));
}

std::string name_of(const Wiring& wiring, VertexId from, VertexId to) {
  return fmt::format("{}->{}", wiring.vertices[from.index()].name,
                     wiring.vertices[to.index()].name);
}

// "a->b#2" as "a--b#2", which means both directions.
std::string cable_name(const std::string& link) {
  std::string name = link;
  return name.replace(name.find("->"), 2, "--");
}

// The cable's name as the link the other way would have it.
std::string reversed_cable_name(const std::string& link) {
  const auto arrow = link.find("->"), suffix = std::min(link.find('#'), link.size());
  return fmt::format("{}--{}{}", link.substr(arrow + 2, suffix - arrow - 2), link.substr(0, arrow),
                     link.substr(suffix));
}

// By the names that an exception may use.
std::map<std::string, std::vector<LinkId>> links_by_name(const Wiring& wiring) {
  std::map<std::string, std::vector<LinkId>> links;
  for (std::size_t l = 0; l < wiring.links.size(); ++l) {
    const std::string& name = wiring.links[l].name;
    for (const std::string& known : {name, cable_name(name), reversed_cable_name(name)})
      links[known].emplace_back(l);
  }
  return links;
}

Diagnostics no_link(const LinkException& exception,
                    const std::map<std::string, std::vector<LinkId>>& links) {
  std::vector<std::string> names;
  const bool is_cable = exception.link.find("--") != std::string::npos;
  for (const auto& [name, ids] : links) {
    if (is_cable == (name.find("--") != std::string::npos)) names.push_back(name);
  }
  const auto guess = nearest(exception.link, names);
  return error_maybe_at(
      exception.where,
      fmt::format("there is no link '{}'; {}", exception.link,
                  guess ? fmt::format("did you mean '{}'?", *guess)
                        : "'a->b' is the link from a to b, 'a--b' that and the one back"));
}

}  // namespace

VertexId Wiring::add_vertex(std::string name, Forwards forwards, std::optional<NodeId> node) {
  vertices.push_back({std::move(name), forwards, node});
  uplinks.emplace_back();
  numbers.push_back(0);
  return VertexId(vertices.size() - 1);
}

void Wiring::join(VertexId lower, VertexId upper, const LinkSpec& link) {
  uplinks[lower.index()].emplace_back(links.size());
  links.push_back({link, name_of(*this, lower, upper), lower, upper});
  links.push_back({link, name_of(*this, upper, lower), upper, lower});
}

LinkId Wiring::join_bus(VertexId device, VertexId nic, const LinkSpec& link) {
  const LinkId bus(links.size());
  links.push_back({link, name_of(*this, device, nic), device, nic});
  links.push_back({link, name_of(*this, nic, device), nic, device});
  return bus;
}

void Wiring::add_link(VertexId from, VertexId to, const LinkSpec& link) {
  is_tiered = false;
  const int number = ++parallel_[{from, to}];
  const std::string name = name_of(*this, from, to);
  links.push_back({link, number == 1 ? name : fmt::format("{}#{}", name, number), from, to});
}

void Wiring::connect(VertexId a, VertexId b, const LinkSpec& link) {
  add_link(a, b, link);
  add_link(b, a, link);
}

Status change_links(const std::vector<LinkException>& exceptions, Wiring& wiring) {
  if (exceptions.empty()) return success();
  const auto links = links_by_name(wiring);
  for (const LinkException& exception : exceptions) {
    const auto found = links.find(exception.link);
    if (found == links.end()) return no_link(exception, links);
    for (const LinkId id : found->second) {
      Link& link = wiring.links[id.index()];
      link.bandwidth = exception.bandwidth.value_or(link.bandwidth);
      link.latency = exception.latency.value_or(link.latency);
      link.efficiency = exception.efficiency.value_or(link.efficiency);
      const Status good = check_link("link " + link.name, link);
      if (!good) return error_maybe_at(exception.where, good.errors().front().message);
    }
  }
  return success();
}

VertexNames::VertexNames(const Wiring& wiring)
    : first_(wiring.vertices.front().name), last_(wiring.vertices.back().name) {
  for (std::size_t v = 0; v < wiring.vertices.size(); ++v)
    names_.emplace(wiring.vertices[v].name, v);
}

Result<VertexId> VertexNames::find(const std::string& name, const std::string& what,
                                   const std::optional<SourceSpan>& where) const {
  if (const auto known = names_.find(name); known != names_.end()) return known->second;
  std::vector<std::string> names;
  for (const auto& [other, id] : names_)
    names.push_back(other);
  const auto guess = nearest(name, names);
  const bool few = names.size() <= 20;
  const std::string all =
      few ? "there are " + join(names, ", ") : fmt::format("there are '{}' to '{}'", first_, last_);
  return error_maybe_at(where,
                        fmt::format("{}: there is no vertex '{}'; {}", what, name,
                                    guess ? fmt::format("did you mean '{}'?", *guess) : all));
}

Status check_link_count(double links, const std::string& what) {
  if (links <= static_cast<double>(kMostLinks)) return success();
  return error(
      fmt::format("{} has {:.0f} links: a cluster has at most {}", what, links, kMostLinks));
}

Status check_link(std::string_view name, const LinkSpec& link) {
  if (!(link.bandwidth > BytesPerSecond{})) {
    return error(fmt::format("the {} needs a bandwidth above 0", name));
  }
  if (!(link.latency >= Seconds{})) return error(fmt::format("the {} has a latency below 0", name));
  Bytes before;
  for (const auto& [size, share] : link.efficiency) {
    if (size <= before) return error(fmt::format("the {}'s efficiency is by growing sizes", name));
    if (!(share > 0) || !(share <= 1))
      return error(
          fmt::format("the {}'s efficiency {:g} is not above 0 and at most 1", name, share));
    before = size;
  }
  if (!(link.reduction > 0) || !(link.reduction <= 1))
    return error(
        fmt::format("the {}'s reduction {:g} is not above 0 and at most 1", name, link.reduction));
  return success();
}

}  // namespace rehearse
