#include <fmt/format.h>

#include "model/cluster/networks/networks.h"

namespace rehearse::networks {
namespace {

// Kim, Dally, Scott, Abts, "Technology-driven, highly-scalable dragonfly topology", ISCA 2008: p
// nodes per router, a routers per group, h global links per router, up to a h + 1 groups.
struct Shape {
  std::int64_t nodes_per_group, groups, channels;  // channels: global links of a group
};

Shape shape_of(const NetworkSpec& spec, std::size_t nodes) {
  const std::int64_t per_group = spec.routers_per_group * spec.nodes_per_router;
  return {per_group, (static_cast<std::int64_t>(nodes) + per_group - 1) / per_group,
          spec.routers_per_group * spec.global_links};
}

Status check(const NetworkSpec& spec, std::size_t nodes) {
  for (const auto& [key, count] : {std::pair("routers_per_group", spec.routers_per_group),
                                   std::pair("nodes_per_router", spec.nodes_per_router),
                                   std::pair("global_links", spec.global_links)}) {
    if (count < 1 || count > kMostDevices)
      return error_about(spec, key, fmt::format("{} is from 1 to {}", key, kMostDevices));
  }
  for (const auto& link : {spec.local, spec.global}) {
    const Status good = link ? check_link("dragonfly's link", *link) : success();
    if (!good) return good;
  }
  const Shape shape = shape_of(spec, nodes);
  if (shape.groups > shape.channels + 1)
    return error_about(
        spec, "global_links",
        fmt::format("{} nodes are {} groups of {}, but a group has {} global links: {} groups at "
                    "most",
                    nodes, shape.groups, shape.nodes_per_group, shape.channels,
                    shape.channels + 1));
  const auto a = static_cast<double>(spec.routers_per_group);
  return check_link_count(
      static_cast<double>(shape.groups) * a * (a + static_cast<double>(spec.global_links)),
      "this dragonfly");
}

void join_groups(const NetworkSpec& spec, const Shape& shape,
                 const std::vector<std::vector<VertexId>>& groups, Wiring& wiring) {
  if (shape.groups == 1) return;
  // Channel k of group i leads to group i + 1 + k mod (groups - 1), and channels are dealt to
  // routers in order; those that are left over stay unused.
  const std::int64_t others = shape.groups - 1;
  const auto router = [&](std::int64_t group, std::int64_t channel) {
    return groups[static_cast<std::size_t>(group)]
                 [static_cast<std::size_t>(channel / spec.global_links)];
  };
  for (std::int64_t copy = 0; copy < shape.channels / others; ++copy) {
    for (std::int64_t i = 0; i < shape.groups; ++i) {
      for (std::int64_t j = i + 1; j < shape.groups; ++j)
        wiring.connect(router(i, copy * others + j - i - 1),
                       router(j, copy * others + shape.groups - (j - i) - 1),
                       spec.global.value_or(spec.link));
    }
  }
}

Status wire(const NetworkSpec& spec, const Ports& ports, Wiring& wiring) {
  const Status good = check(spec, ports.size());
  if (!good) return good;
  const Shape shape = shape_of(spec, ports.size());
  std::vector<std::vector<VertexId>> groups;
  for (std::int64_t g = 0; g < shape.groups; ++g) {
    std::vector<VertexId>& routers = groups.emplace_back();
    for (std::int64_t r = 0; r < spec.routers_per_group; ++r) {
      routers.push_back(wiring.add_vertex(fmt::format("group{}.router{}", g, r)));
      for (std::size_t other = 0; other + 1 < routers.size(); ++other)
        wiring.connect(routers[other], routers.back(), spec.local.value_or(spec.link));
    }
  }
  for (std::size_t n = 0; n < ports.size(); ++n) {
    const std::size_t number = n / static_cast<std::size_t>(spec.nodes_per_router);
    const auto per_group = static_cast<std::size_t>(spec.routers_per_group);
    for (const VertexId port : ports[n])
      wiring.connect(port, groups[number / per_group][number % per_group], spec.link);
  }
  join_groups(spec, shape, groups, wiring);
  return success();
}

}  // namespace

Network dragonfly() {
  return {{NetworkKind::dragonfly,
           "groups of routers, all joined within, with global links between groups",
           {"link", "routers_per_group", "nodes_per_router", "global_links", "local", "global"}},
          wire};
}

}  // namespace rehearse::networks
