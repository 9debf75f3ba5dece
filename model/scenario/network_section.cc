// The part of a cluster that stands between its nodes.
#include <algorithm>
#include <utility>

#include "model/base/text.h"
#include "model/scenario/names.h"
#include "model/scenario/sections.h"

namespace rehearse::yaml {
namespace {

const Value* list_of(Map& map, std::string_view key, std::string_view what, bool is_needed) {
  const Value* value = is_needed ? map.need(key) : map.find(key);
  if (value == nullptr || value->kind == Kind::list) return value;
  expected(what, *value, map.problems());
  return nullptr;
}

std::optional<EfficiencyPoint> read_efficiency_point(const Value& value, Problems& problems) {
  if (value.kind != Kind::list || value.items.size() != 2) {
    expected("a size and the share of the bandwidth that it reaches, such as [64 KiB, 0.3]", value,
             problems);
    return std::nullopt;
  }
  const auto size = read_bytes(value.items[0], problems);
  const auto share = read_number(value.items[1], problems, {0, 1, true});
  if (!size || !share) return std::nullopt;
  if (*size <= Bytes{}) problems.add(value.items[0].where, "a message of no bytes has no rate");
  return EfficiencyPoint{*size, *share};
}

// A link's keys; those that are missing stay as they are if it has them already.
void read_link_keys(Map& map, LinkSpec& link, bool has_defaults) {
  for (const std::string_view key : {"bandwidth", "latency"}) {
    if (!has_defaults) map.need(key);
  }
  if (map.find("bandwidth") != nullptr) read(map, "bandwidth", link.bandwidth);
  if (map.find("latency") != nullptr) read(map, "latency", link.latency);
  read(map, "efficiency", link.efficiency, read_efficiency);
}

// Whatever is wrong with the numbers of a link is said with both of its ends.
void add_with_ends(const CustomLink& link, bool is_back, std::vector<Diagnostic> own,
                   Problems& problems) {
  const auto& [from, to] = is_back ? std::tie(link.to, link.from) : std::tie(link.from, link.to);
  for (Diagnostic& problem : own) {
    if (!from.empty() && !to.empty())
      problem.message = fmt::format("link {}->{}: {}", from, to, problem.message);
    problems.add({std::move(problem)});
  }
}

std::optional<LinkSpec> read_back(Map& map, const CustomLink& link, Problems& problems) {
  bool is_duplex = true;
  read(map, "duplex", is_duplex);
  const Value* value = map.find("back");
  if (!is_duplex && value != nullptr)
    map.problems().add(map.where("back"), "'duplex: false' is a link that has no way back");
  if (!is_duplex) return std::nullopt;
  LinkSpec back = link.link;
  if (value == nullptr) return back;
  Problems own;
  Map keys(*value, section("back"), map.where("back"), own);
  read_link_keys(keys, back, true);
  keys.finish();
  add_with_ends(link, true, own.take(), problems);
  return back;
}

SourceSpan value_where(Map& map, std::string_view key) {
  const Value* value = map.find(key);
  return value == nullptr ? map.where() : value->where;
}

CustomLink read_custom_link(const Value& value, const LinkSpec* defaults, Problems& problems) {
  CustomLink link;
  Problems own;
  Map map(value, section("cable"), value.where, own, "link");
  read(map, "from", link.from);
  read(map, "to", link.to);
  link.where = value.where;
  link.from_where = value_where(map, "from");
  link.to_where = value_where(map, "to");
  if (defaults != nullptr) link.link = *defaults;
  read_link_keys(map, link.link, defaults != nullptr);
  link.back = read_back(map, link, problems);
  map.finish();
  add_with_ends(link, false, own.take(), problems);
  return link;
}

void read_names(const Value& list, std::vector<std::string>& names, Problems& problems) {
  for (const Value& item : list.items) {
    if (auto name = read_name(item, problems)) names.push_back(*std::move(name));
  }
}

StaticRoute read_route(const Value& value, Problems& problems) {
  StaticRoute route;
  Map map(value, section("route"), value.where, problems);
  read(map, "from", route.from);
  read(map, "to", route.to);
  route.where = value.where;
  route.names_where.push_back(value_where(map, "from"));
  if (const Value* via = list_of(map, "via", "a list of vertices", true)) {
    read_names(*via, route.via, problems);
    for (const Value& item : via->items)
      route.names_where.push_back(item.where);
  }
  route.names_where.push_back(value_where(map, "to"));
  map.finish();
  return route;
}

std::optional<Routing> read_routing_kind(const Value& value, Problems& problems) {
  return read_enum(value, "routing", kRoutings, problems);
}

void read_routing(Map& network, NetworkSpec& spec) {
  const Value* value = network.find("routing");
  if (value == nullptr) return;
  if (value->kind != Kind::map) return read(network, "routing", spec.routing, read_routing_kind);
  Map map(*value, section("routing"), network.where("routing"), network.problems());
  spec.routing = Routing::ecmp;  // so that a misspelt kind does not make the seed wrong, too
  read_one_of(map, "kind", spec.routing, kRoutings);
  if (spec.routing == Routing::ecmp) read(map, "seed", spec.seed);
  map.finish();
}

// ---- keys of kinds of networks -----------------------------------------------------------------

void read_link_of_network(Map& map, std::string_view key, NetworkSpec& spec) {
  // Links of a list may have all that they need themselves.
  const bool is_default = spec.kind == NetworkKind::custom;
  const Value* value = is_default ? map.find(key) : map.need(key);
  if (value != nullptr)
    spec.link = read_link(*value, std::string(key), map.where(key), map.problems());
}

template <std::optional<LinkSpec> NetworkSpec::*member>
void read_other_link(Map& map, std::string_view key, NetworkSpec& spec) {
  if (const Value* value = map.find(key))
    spec.*member = read_link(*value, std::string(key), map.where(key), map.problems());
}

template <auto member>
void read_scalar(Map& map, std::string_view key, NetworkSpec& spec) {
  read(map, key, spec.*member);
}

void read_dims(Map& map, std::string_view key, NetworkSpec& spec) {
  const Value* list = list_of(map, key, "a list of numbers such as [4, 4, 2]", true);
  if (list == nullptr) return;
  for (const Value& item : list->items) {
    if (const auto dim = read_count(item, map.problems(), Range{})) spec.dims.push_back(*dim);
  }
}

void read_switches(Map& map, std::string_view key, NetworkSpec& spec) {
  if (const Value* list = list_of(map, key, "a list of names", false))
    read_names(*list, spec.switches, map.problems());
}

void read_custom_links(Map& map, std::string_view key, NetworkSpec& spec) {
  const Value* list = list_of(map, key, "a list of links", true);
  if (list == nullptr) return;
  const LinkSpec* defaults = map.find("link") == nullptr ? nullptr : &spec.link;
  for (const Value& item : list->items)
    spec.links.push_back(read_custom_link(item, defaults, map.problems()));
}

struct NetworkKey {
  std::string_view key;
  void (*read)(Map&, std::string_view, NetworkSpec&);
};

// All that a row of network_kinds() may name, in the order in which they are read.
constexpr NetworkKey kNetworkKeys[] = {
    {"link", read_link_of_network},
    {"oversubscription", read_scalar<&NetworkSpec::oversubscription>},
    {"nodes_per_leaf", read_scalar<&NetworkSpec::nodes_per_leaf>},
    {"spines", read_scalar<&NetworkSpec::spines>},
    {"uplink", read_other_link<&NetworkSpec::uplink>},
    {"routers_per_group", read_scalar<&NetworkSpec::routers_per_group>},
    {"nodes_per_router", read_scalar<&NetworkSpec::nodes_per_router>},
    {"global_links", read_scalar<&NetworkSpec::global_links>},
    {"local", read_other_link<&NetworkSpec::local>},
    {"global", read_other_link<&NetworkSpec::global>},
    {"dims", read_dims},
    {"switches", read_switches},
    {"links", read_custom_links},
    {"nodes_forward", read_scalar<&NetworkSpec::nodes_forward>},
};

std::optional<NetworkKind> read_network_kind(const Value& value, Problems& problems) {
  std::vector<NetworkKind> kinds;
  for (const NetworkKindRow& row : network_kinds())
    kinds.push_back(row.kind);
  return read_enum(value, "network kind", kinds, problems);
}

const NetworkKindRow& row_of(NetworkKind kind) {
  const auto& rows = network_kinds();
  return *std::find_if(rows.begin(), rows.end(),
                       [&](const NetworkKindRow& row) { return row.kind == kind; });
}

}  // namespace

std::optional<std::vector<EfficiencyPoint>> read_efficiency(const Value& value,
                                                            Problems& problems) {
  if (value.kind != Kind::list) {
    expected("a list of sizes and shares such as [[64 KiB, 0.3], [1 MiB, 1]]", value, problems);
    return std::nullopt;
  }
  std::vector<EfficiencyPoint> curve;
  for (const Value& item : value.items) {
    const auto point = read_efficiency_point(item, problems);
    if (!point) continue;
    if (!curve.empty() && point->size <= curve.back().size)
      problems.add(item.where, fmt::format("sizes grow from point to point, but '{}' follows '{}'",
                                           item.items[0].text, human(curve.back().size)));
    curve.push_back(*point);
  }
  return curve;
}

LinkSpec read_link(const Value& value, const std::string& name, SourceSpan where,
                   Problems& problems) {
  LinkSpec link;
  Map map(value, section("link"), std::move(where), problems, name);
  read_link_keys(map, link, false);
  map.finish();
  return link;
}

NetworkSpec read_network(const Value& value, SourceSpan where, Problems& problems) {
  NetworkSpec network;
  Map map(value, section("network"), std::move(where), problems);
  read_needed(map, "kind", network.kind, read_network_kind);
  const auto& takes = row_of(network.kind).keys;
  for (const auto& [key, read_key] : kNetworkKeys) {
    if (std::find(takes.begin(), takes.end(), key) != takes.end()) read_key(map, key, network);
  }
  read_routing(map, network);
  if (const Value* routes = list_of(map, "routes", "a list of routes", false)) {
    for (const Value& item : routes->items)
      network.routes.push_back(read_route(item, problems));
  }
  map.finish();
  for (const Entry& entry : value.entries)
    network.places.emplace(entry.key,
                           entry.value.kind == Kind::scalar ? entry.value.where : entry.key_where);
  return network;
}

}  // namespace rehearse::yaml
