// Keys of the network between nodes: which kinds take which stands in the table of kinds.
#include <algorithm>

#include "model/cluster/network_spec.h"
#include "model/scenario/keys/keys.h"
#include "model/scenario/names.h"

namespace rehearse::yaml {
namespace {

std::vector<Key> link_keys(bool are_needed) {
  Key bandwidth = optional("bandwidth", basic(Form::bandwidth), "", "of one direction", "100 Gb/s");
  Key latency = optional("latency", basic(Form::seconds), "", "of a message", "5 us");
  bandwidth.is_needed = latency.is_needed = are_needed;
  return {bandwidth, latency,
          optional("efficiency", efficiency_type(), "[]",
                   "share of the bandwidth by size of message: [[size, share], ...]",
                   "[[64 KiB, 0.3], [16 MiB, 1]]")};
}

Section link() {
  return {"link", "A full-duplex cable.", link_keys(true)};
}

// Kinds that take a key.
Only of_kinds(std::string_view key) {
  Only only{"kind", {}};
  for (const NetworkKindRow& row : network_kinds()) {
    if (std::find(row.keys.begin(), row.keys.end(), key) != row.keys.end())
      only.values.emplace_back(to_string(row.kind));
  }
  return only;
}

// The link is needed but where links of a list may have all that they need themselves.
std::vector<Key> link_of_network() {
  Key others = needed("link", map_of("link"), "a cable of the network",
                      "{bandwidth: 100 Gb/s, latency: 5 us}");
  others.only = of_kinds("link");
  std::erase(others.only.values, to_string(NetworkKind::custom));
  Key custom = optional("link", map_of("link"), "", "what cables do not say themselves",
                        "{bandwidth: 100 Gb/s, latency: 5 us}");
  custom.only = {"kind", {std::string(to_string(NetworkKind::custom))}};
  return {std::move(others), std::move(custom)};
}

std::vector<std::string> kind_names() {
  std::vector<std::string> names;
  for (const NetworkKindRow& row : network_kinds())
    names.emplace_back(to_string(row.kind));
  return names;
}

Section network() {
  Section section{
      "network",
      "What is between the nodes.",
      {
          needed("kind", one_of("network kind", kind_names()), "how nodes are joined", "fat-tree"),
          optional("routing", either({one_of("routing", names_of(kRoutings)), map_of("routing")}),
                   "shortest", "which of several shortest ways a message takes",
                   "{kind: ecmp, seed: 1}"),
          optional("routes", list_of(map_of("route")), "[]", "ways of their own",
                   "[{from: node0, to: node1, via: [leaf0]}]"),
      },
  };
  const std::string cable = "{bandwidth: 400 Gb/s, latency: 1 us}";
  const Key of_kind[] = {
      optional("oversubscription", number({1, 1000}), "1",
               "bandwidth below a leaf switch over that above it", "2"),
      optional("nodes_per_leaf", count(), "16", "nodes of a leaf switch", "16"),
      needed("spines", count(), "switches over the leaves", "4"),
      optional("uplink", map_of("link"), "", "from each leaf to each spine; by default `link`",
               cable),
      needed("routers_per_group", count(), "routers of a group, all joined", "4"),
      needed("nodes_per_router", count(), "nodes of a router", "2"),
      needed("global_links", count(), "cables of a router to other groups", "2"),
      optional("local", map_of("link"), "", "between routers of a group; by default `link`", cable),
      optional("global", map_of("link"), "", "between groups; by default `link`", cable),
      needed("dims", list_of(count(), 1, 3), "nodes along each dimension", "[4, 4, 2]"),
      optional("switches", list_of(basic(Form::name)), "[]", "names of switches", "[a, b]"),
      needed("links", list_of(map_of("cable")), "cables, each between two named ends",
             "[{from: node0, to: a}]"),
      optional("nodes_forward", basic(Form::yes_no), "false",
               "whether nodes pass on what is between others", "true"),
  };
  for (Key& key : link_of_network())
    section.keys.push_back(std::move(key));
  for (Key key : of_kind) {
    key.only = of_kinds(key.name);
    section.keys.push_back(std::move(key));
  }
  return section;
}

Section routing() {
  Key seed = optional("seed", count({0}), "0", "of the hash", "1");
  seed.only = {"kind", {std::string(to_string(Routing::ecmp))}};
  return {"routing",
          "Which of several shortest ways a message takes.",
          {needed("kind", one_of("routing", names_of(kRoutings)),
                  "by the destination's number, or by a hash of both ends", "ecmp"),
           seed}};
}

Section route() {
  return {"route",
          "The way of messages from one vertex to another.",
          {needed("from", basic(Form::name), "where they begin", "node0"),
           needed("to", basic(Form::name), "where they end", "node1"),
           needed("via", list_of(basic(Form::name)), "vertices between, in order", "[leaf0]")}};
}

Section cable() {
  std::vector<Key> keys = link_keys(false);
  keys.insert(keys.begin(), {needed("from", basic(Form::name), "one end", "node0"),
                             needed("to", basic(Form::name), "the other end", "a")});
  keys.push_back(
      optional("duplex", basic(Form::yes_no), "true", "whether there is a way back", "false"));
  keys.push_back(optional("back", map_of("back"), "", "what is different on the way back",
                          "{bandwidth: 10 Gb/s}"));
  return {
      "cable",
      "A cable of a custom network; bandwidth and latency are needed here where the network has "
      "no `link`.",
      std::move(keys)};
}

Section back() {
  return {"back", "The way back of a cable; what is not given is as on the way there.",
          link_keys(false)};
}

}  // namespace

std::vector<Section> network_sections() {
  return {network(), link(), cable(), back(), routing(), route()};
}

}  // namespace rehearse::yaml
