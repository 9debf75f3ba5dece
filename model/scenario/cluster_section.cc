#include <algorithm>
#include <filesystem>

#include "model/base/text.h"
#include "model/scenario/names.h"
#include "model/scenario/profiles.h"
#include "model/scenario/sections.h"

namespace rehearse {

namespace fs = std::filesystem;

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

}  // namespace rehearse

namespace rehearse::yaml {
namespace {

bool is_path(const std::string& name) {
  return name.find('/') != std::string::npos || name.ends_with(".yaml");
}

bool is_file(const fs::path& path) {
  std::error_code none;  // a name that is no path names no file
  return fs::is_regular_file(path, none);
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
  return take_device(profiles.read ? profiles.read(*path) : read_device(*path), problems);
}

void read_interconnect(Map& cluster, ClusterSpec& spec) {
  const Value* value = cluster.find("interconnect");
  if (value == nullptr) return;
  Map map(*value, section("interconnect"), cluster.where("interconnect"), cluster.problems());
  LinkSpec& link = spec.interconnect.emplace();
  read(map, "bandwidth", link.bandwidth);
  read(map, "latency", link.latency);
  read(map, "efficiency", link.efficiency, read_efficiency);
  read(map, "reduction", link.reduction);
  read_one_of(map, "kind", spec.interconnect_kind, kInterconnectKinds);
  read(map, "ports", spec.ports);
  spec.interconnect_where = map.where();
  map.finish();
}

void read_nics(Map& cluster, ClusterSpec& spec) {
  const Value* value = cluster.find("nics");
  if (value == nullptr) return;
  Map map(*value, section("nics"), cluster.where("nics"), cluster.problems());
  NicSpec& nics = spec.nics.emplace();
  read(map, "count", nics.count);
  if (const Value* bus = map.need("bus"))
    nics.bus = read_link(*bus, "bus", map.where("bus"), cluster.problems());
  nics.where = map.where();
  map.finish();
}

LinkException read_link_exception(const Value& value, Problems& problems) {
  LinkException exception;
  Problems own;
  Map map(value, section("link_exception"), value.where, own, "link");
  read(map, "link", exception.link);
  const Value* named = map.find("link");
  exception.where = named == nullptr ? value.where : named->where;
  read(map, "bandwidth", exception.bandwidth);
  read(map, "latency", exception.latency);
  if (map.find("efficiency") != nullptr)
    read(map, "efficiency", exception.efficiency.emplace(), read_efficiency);
  map.finish();
  for (Diagnostic& problem : own.take()) {
    if (!exception.link.empty())
      problem.message = fmt::format("link {}: {}", printable(exception.link), problem.message);
    problems.add({std::move(problem)});
  }
  return exception;
}

// "4-7", or one number.
void read_rank_range(const Value& value, std::vector<RankId>& ranks, Problems& problems) {
  constexpr Range kRanks = {0, kMostDevices - 1};
  const auto dash = value.kind == Kind::scalar ? value.text.find('-', 1) : std::string::npos;
  if (dash == std::string::npos) {
    if (const auto rank = read_count(value, problems, kRanks)) ranks.emplace_back(*rank);
    return;
  }
  const auto first = parse_integer(value.text.substr(0, dash)),
             last = parse_integer(value.text.substr(dash + 1));
  if (!first || !last || *first < 0 || *last < *first || *last > kRanks.most)
    return expected("a rank, or ranks such as 4-7", value, problems);
  for (std::int64_t rank = *first; rank <= *last; ++rank)
    ranks.emplace_back(rank);
}

// Reads the exceptions among the ranks; devices are found as the cluster's is.
class RankReader {
 public:
  RankReader(const std::string& scenario_path, const ProfilePath& profiles, Problems& problems)
      : scenario_path_(scenario_path), profiles_(profiles), problems_(problems) {}

  RankException read_one(const Value& value) const {
    RankException exception;
    Map map(value, section("rank_exception"), value.where, problems_, "ranks");
    if (const Value* ranks = map.need("ranks")) {
      exception.where = ranks->where;
      if (ranks->kind != Kind::list) read_rank_range(*ranks, exception.ranks, problems_);
      for (const Value& item : ranks->items)
        read_rank_range(item, exception.ranks, problems_);
    }
    if (const Value* device = map.find("device")) {
      exception.device = read_named_device(*device, scenario_path_, profiles_, problems_);
      exception.device_where = device->where;
    }
    read(map, "speed", exception.speed);
    if (const Value* speed = map.find("speed")) exception.speed_where = speed->where;
    map.finish();
    return exception;
  }

 private:
  const std::string& scenario_path_;
  const ProfilePath& profiles_;
  Problems& problems_;
};

void read_jitter(Map& cluster, ClusterSpec& spec) {
  const Value* value = cluster.find("jitter");
  if (value == nullptr) return;
  Jitter& jitter = spec.jitter.emplace();
  Map map(*value, section("jitter"), cluster.where("jitter"), cluster.problems());
  read(map, "op", jitter.op);
  read(map, "step", jitter.step);
  read(map, "seed", jitter.seed);
  read(map, "steps", jitter.steps);
  map.finish();
}

// The items of a list, if the key is there.
const std::vector<Value>& items_of(Map& map, std::string_view key) {
  static const std::vector<Value> none;
  const Value* value = map.find(key);
  if (value == nullptr) return none;
  if (value->kind != Kind::list) expected("a list", *value, map.problems());
  return value->items;
}

// NCCL's memory is a device's where messages go over it, and nowhere else.
void take_carrier(Carrier carrier, Device& device, const Map& map, Problems& problems) {
  if (carrier == Carrier::host || device.name.empty()) {  // or it could not be read
    device.communicator = {};
  } else if (device.kind == DeviceKind::cpu) {
    problems.add(map.where("transport"),
                 fmt::format("NCCL is between GPUs, and '{}' is a cpu", device.name));
  } else if (device.communicator == Bytes{}) {
    problems.add(map.where("transport"),
                 fmt::format("device '{}' has no 'communicator': nothing says how much memory "
                             "NCCL takes of it",
                             device.name));
  }
}

void read_transport(Map& map, ClusterSpec& spec) {
  Carrier carrier = Carrier::host;
  read_one_of(map, "transport", carrier, kCarriers);
  take_carrier(carrier, spec.device, map, map.problems());
  for (RankException& exception : spec.ranks) {
    if (exception.device) take_carrier(carrier, *exception.device, map, map.problems());
  }
}

// What is on a device beside tensors, instead of what its profile says.
void read_overheads(Map& cluster, ClusterSpec& spec) {
  const Value* value = cluster.find("overheads");
  if (value == nullptr) return;
  Map map(*value, section("overheads"), cluster.where("overheads"), cluster.problems());
  std::vector<Device*> devices = {&spec.device};
  for (RankException& exception : spec.ranks) {
    if (exception.device) devices.push_back(&*exception.device);
  }
  Device given;
  const auto take = [&](std::string_view key, auto Device::*overhead) {
    if (map.find(key) == nullptr) return;
    for (Device* device : devices)
      device->*overhead = given.*overhead;
  };
  read(map, "workspace", given.workspace);
  read(map, "context", given.context);
  read(map, "communicator", given.communicator);
  read(map, "fragmentation", given.fragmentation);
  take("workspace", &Device::workspace);
  take("context", &Device::context);
  take("communicator", &Device::communicator);
  take("fragmentation", &Device::fragmentation);
  map.finish();
}

}  // namespace

ClusterSpec read_cluster(Map& scenario, const std::string& scenario_path,
                         const ProfilePath& profiles, const std::optional<std::string>& device) {
  ClusterSpec spec;
  const Value* value = scenario.need("cluster");
  if (value == nullptr) return spec;
  Problems& problems = scenario.problems();
  Map map(*value, section("cluster"), scenario.where("cluster"), problems);
  const Value* named = map.need("device");
  if (device) {
    spec.device = take_device(read_device(*device), problems);
  } else if (named != nullptr) {
    spec.device = read_named_device(*named, scenario_path, profiles, problems);
  }
  read(map, "nodes", spec.nodes);
  read(map, "devices_per_node", spec.devices_per_node);
  if (const Value* network = map.find("network"))
    spec.network = read_network(*network, map.where("network"), problems);
  read_interconnect(map, spec);
  read_nics(map, spec);
  for (const Value& item : items_of(map, "links"))
    spec.links.push_back(read_link_exception(item, problems));
  const RankReader ranks(scenario_path, profiles, problems);
  for (const Value& item : items_of(map, "ranks"))
    spec.ranks.push_back(ranks.read_one(item));
  // They are of the device that the file names, and of no other that takes its place.
  Device replaced;
  read_kernel_rates(map, device ? replaced : spec.device);
  read_overheads(map, spec);
  read_transport(map, spec);
  read_jitter(map, spec);
  map.finish();
  if (!problems.empty()) return spec;
  const Result<Cluster> cluster = Cluster::build(spec);
  if (cluster) return spec;
  for (const Diagnostic& error : cluster.errors())
    problems.add(error.where.value_or(map.where()), error.message, error.notes);
  return spec;
}

}  // namespace rehearse::yaml
