#include "tools/summary/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "model/base/text.h"
#include "tools/summary/table.h"

namespace rehearse {
namespace {

const std::string& name_of(const Cluster& cluster, VertexId vertex) {
  return cluster.vertices()[vertex.index()].name;
}

// "leaf12" as "leaf*".
std::string without_numbers(const std::string& name) {
  std::string pattern;
  for (const char c : name) {
    const bool is_digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (!is_digit) pattern += c;
    if (is_digit && !pattern.ends_with('*')) pattern += '*';
  }
  return pattern;
}

std::string text_of(const std::vector<EfficiencyPoint>& curve) {
  std::vector<std::string> points;
  for (const auto& [size, share] : curve)
    points.push_back(fmt::format("{} {:g}", human(size), share));
  return curve.empty() ? "1" : join(points, ", ");
}

// Things that are alike, in the order of the first of each.
template <class Key>
class Groups {
 public:
  void add(Key key, std::size_t member) {
    const auto known = std::find_if(list_.begin(), list_.end(),
                                    [&](const auto& group) { return group.first == key; });
    if (known != list_.end()) return known->second.push_back(member);
    list_.push_back({std::move(key), {member}});
  }
  const auto& list() const { return list_; }

 private:
  std::vector<std::pair<Key, std::vector<std::size_t>>> list_;
};

// "0-3, 5"; numbers grow.
std::string ranges(const std::vector<std::size_t>& numbers) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1)
      ++last;
    parts.push_back(last == i ? fmt::format("{}", numbers[i])
                              : fmt::format("{}-{}", numbers[i], numbers[last]));
    i = last + 1;
  }
  return join(parts, ", ");
}

StyledText rank_table(const Cluster& cluster) {
  Groups<std::pair<std::string, double>> groups;
  for (std::size_t r = 0; r < cluster.rank_count(); ++r)
    groups.add({cluster.device(RankId(r)).name, cluster.speed(RankId(r))}, r);
  std::vector<std::vector<std::string>> rows = {{"ranks", "device", "speed"}};
  for (const auto& [key, ranks] : groups.list())
    rows.push_back({ranges(ranks), key.first, fmt::format("{:g}", key.second)});
  return align_columns(rows);
}

StyledText link_table(const Cluster& cluster) {
  Groups<std::pair<std::string, LinkSpec>> groups;
  for (std::size_t l = 0; l < cluster.links().size(); ++l) {
    const Link& link = cluster.links()[l];
    groups.add({without_numbers(link.name), link}, l);
  }
  std::vector<std::vector<std::string>> rows = {
      {"links", "number", "bandwidth", "latency", "efficiency"}};
  for (const auto& [key, links] : groups.list()) {
    const auto& [pattern, spec] = key;
    rows.push_back({links.size() == 1 ? cluster.links()[links.front()].name : pattern,
                    fmt::format("{}", links.size()), human(spec.bandwidth), human(spec.latency),
                    text_of(spec.efficiency)});
  }
  return align_columns(rows);
}

}  // namespace

StyledText print_table(const Cluster& cluster, const std::optional<RankPair>& route) {
  const ClusterSpec& spec = cluster.spec();
  StyledText text =
      fmt::format("{} nodes of {} devices, network {}, routing {}: {} vertices, {} links\n",
                  spec.nodes, spec.devices_per_node, to_string(spec.network.kind),
                  to_string(spec.network.routing), cluster.vertices().size(),
                  cluster.links().size()) +
      "\n" + rank_table(cluster);
  if (!cluster.links().empty()) text += "\n" + link_table(cluster);
  if (!route) return text;
  const auto [from, to] = *route;
  text += fmt::format("\nrank {} to rank {}: {}", from.index(), to.index(),
                      name_of(cluster, cluster.vertex_of(from)));
  for (const LinkId link : cluster.route(from, to))
    text += " " + name_of(cluster, cluster.links()[link.index()].to);
  return text + "\n";
}

std::string print_json(const Cluster& cluster, const std::optional<RankPair>& route) {
  using Json = nlohmann::ordered_json;
  const ClusterSpec& spec = cluster.spec();
  Json json = {{"nodes", spec.nodes},
               {"devices_per_node", spec.devices_per_node},
               {"network", to_string(spec.network.kind)},
               {"routing", to_string(spec.network.routing)},
               {"seed", spec.network.seed}};
  Json& ranks = json["ranks"] = Json::array();
  for (std::size_t r = 0; r < cluster.rank_count(); ++r)
    ranks.push_back({{"rank", r},
                     {"vertex", name_of(cluster, cluster.vertex_of(RankId(r)))},
                     {"device", cluster.device(RankId(r)).name},
                     {"speed", cluster.speed(RankId(r))}});
  Json& links = json["links"] = Json::array();
  for (const Link& link : cluster.links()) {
    Json curve = Json::array();
    for (const auto& [size, share] : link.efficiency)
      curve.push_back({{"bytes", size.bytes()}, {"share", share}});
    links.push_back({{"name", link.name},
                     {"from", name_of(cluster, link.from)},
                     {"to", name_of(cluster, link.to)},
                     {"bandwidth_bytes_per_s", link.bandwidth.bytes_per_second()},
                     {"latency_s", link.latency.seconds()},
                     {"efficiency", std::move(curve)}});
  }
  if (!route) return json.dump(1) + "\n";
  Json& names = json["route"] = Json::array();
  for (const LinkId link : cluster.route(route->first, route->second))
    names.push_back(cluster.links()[link.index()].name);
  return json.dump(1) + "\n";
}

}  // namespace rehearse
