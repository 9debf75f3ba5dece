#include <algorithm>
#include <filesystem>

#include "model/scenario/sections.h"

namespace rehearse::yaml {
namespace {

namespace fs = std::filesystem;

bool is_path(const std::string& name) {
  return name.find('/') != std::string::npos || name.ends_with(".yaml");
}

bool is_file(const fs::path& path) {
  std::error_code none;  // a name that is no path names no file
  return fs::is_regular_file(path, none);
}

// Names of all profiles that can be found.
std::vector<std::string> profile_names(const ProfilePath& profiles) {
  std::vector<std::string> names;
  for (const std::string& directory : profiles.directories) {
    std::error_code none;  // a directory that is not there has no profiles
    for (const auto& file : fs::directory_iterator(directory, none)) {
      if (file.path().extension() == ".yaml") names.push_back(file.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::optional<std::string> find_profile(const std::string& name, const std::string& scenario_path,
                                        const ProfilePath& profiles) {
  if (is_path(name)) {
    const fs::path path = fs::path(scenario_path).parent_path() / name;
    return is_file(path) ? std::optional(path.string()) : std::nullopt;
  }
  for (const std::string& directory : profiles.directories) {
    const fs::path path = fs::path(directory) / (name + ".yaml");
    if (is_file(path)) return path.string();
  }
  return std::nullopt;
}

Device take_device(Result<Device> device, Problems& problems) {
  if (device) return *std::move(device);
  problems.add(device.errors());
  return {};
}

Device read_named_device(const Value& value, const std::string& scenario_path,
                         const ProfilePath& profiles, Problems& problems) {
  const auto name = read_text(value, problems);
  if (!name) return {};
  const auto path = find_profile(*name, scenario_path, profiles);
  if (!path && is_path(*name)) {
    problems.add(value.where, fmt::format("there is no device profile '{}' beside the scenario",
                                          printable(*name)));
    return {};
  }
  if (!path) {
    unknown_name("device profile", value, profile_names(profiles), problems);
    return {};
  }
  return take_device(read_device(*path), problems);
}

LinkSpec read_link(const Value& value, const std::string& name, SourceSpan where,
                   Problems& problems) {
  LinkSpec link;
  Map map(value, name, std::move(where), problems);
  read_needed(map, "bandwidth", link.bandwidth, read_bandwidth);
  read_needed(map, "latency", link.latency, read_seconds);
  map.finish();
  return link;
}

std::optional<NetworkKind> read_network_kind(const Value& value, Problems& problems) {
  std::vector<NetworkKind> kinds;
  for (const NetworkKindRow& row : network_kinds())
    kinds.push_back(row.kind);
  return read_enum(value, "network kind", kinds, problems);
}

NetworkSpec read_network(const Value& value, SourceSpan where, Problems& problems) {
  NetworkSpec network;
  Map map(value, "network", std::move(where), problems);
  read_needed(map, "kind", network.kind, read_network_kind);
  if (network.kind != NetworkKind::none) {
    if (const Value* link = map.need("link"))
      network.link = read_link(*link, "link", map.where("link"), problems);
  }
  if (network.kind == NetworkKind::fat_tree) {
    read(map, "oversubscription", network.oversubscription, read_number, 1.0);
    read(map, "nodes_per_leaf", network.nodes_per_leaf, read_count, Range{});
  }
  map.finish();
  return network;
}

}  // namespace

ClusterSpec read_cluster(Map& scenario, const std::string& scenario_path,
                         const ProfilePath& profiles, const std::optional<std::string>& device) {
  ClusterSpec spec;
  const Value* value = scenario.need("cluster");
  if (value == nullptr) return spec;
  Problems& problems = scenario.problems();
  Map map(*value, "cluster", scenario.where("cluster"), problems);
  const Value* named = map.need("device");
  if (device) {
    spec.device = take_device(read_device(*device), problems);
  } else if (named != nullptr) {
    spec.device = read_named_device(*named, scenario_path, profiles, problems);
  }
  read(map, "nodes", spec.nodes, read_count, Range{});
  read(map, "devices_per_node", spec.devices_per_node, read_count, Range{});
  if (const Value* network = map.find("network"))
    spec.network = read_network(*network, map.where("network"), problems);
  if (const Value* link = map.find("interconnect")) {
    spec.interconnect = read_link(*link, "interconnect", map.where("interconnect"), problems);
  }
  map.finish();
  if (!problems.empty()) return spec;
  const Result<Cluster> cluster = Cluster::build(spec);
  if (!cluster) problems.add(map.where(), cluster.errors().front().message);
  return spec;
}

}  // namespace rehearse::yaml
