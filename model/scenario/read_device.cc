#include <fmt/format.h>

#include "model/base/text.h"
#include "model/scenario/names.h"
#include "model/scenario/reader.h"
#include "model/scenario/scenario.h"
#include "model/scenario/sections.h"

namespace rehearse {
namespace {

using yaml::Kind;
using yaml::Map;
using yaml::Problems;

constexpr auto kUnused = yaml::Unused::fine_unless_misspelt;

std::optional<Provenance> read_provenance(const yaml::Value& value, Problems& problems) {
  return yaml::read_enum(value, "provenance", yaml::kProvenances, problems);
}

KernelRate read_rate(const yaml::Value& value, const std::string& name, SourceSpan where,
                     Problems& problems) {
  KernelRate rate;
  Map map(value, name, std::move(where), problems);
  yaml::read_needed(map, "compute", rate.compute, yaml::read_flop_rate);
  yaml::read_needed(map, "memory", rate.memory, yaml::read_bandwidth);
  yaml::read(map, "overhead", rate.overhead, yaml::read_seconds);
  if (map.find("provenance") != nullptr)
    yaml::read(map, "provenance", rate.provenance.emplace(), read_provenance);
  map.finish(kUnused);
  return rate;
}

void read_kernels(Map& profile, Device& device) {
  const yaml::Value* value = profile.need("kernels");
  if (value == nullptr) return;
  Map map(*value, "kernels", profile.where("kernels"), profile.problems());
  for (int k = 0; k < kKernelClassCount; ++k) {
    const std::string name(to_string(static_cast<KernelClass>(k)));
    const yaml::Value* rate = map.need(name);
    if (rate != nullptr)
      device.kernels[static_cast<std::size_t>(k)] =
          read_rate(*rate, name, map.where(name), profile.problems());
  }
  map.finish(kUnused);
}

// "256x128"
std::optional<Tile> read_tile(const yaml::Value& value, Problems& problems) {
  const auto text = yaml::read_text(value, problems);
  if (!text) return std::nullopt;
  const auto extents = split(*text, 'x');
  if (extents.size() == 2) {
    const auto m = parse_integer(extents[0]), n = parse_integer(extents[1]);
    if (m && n && *m > 0 && *n > 0 && *m <= 65536 && *n <= 65536) return Tile{*m, *n};
  }
  yaml::expected("a tile such as 256x128", value, problems);
  return std::nullopt;
}

void read_tiling(Map& profile, Tiling& tiling) {
  const yaml::Value* value = profile.find("products");
  if (value == nullptr) return;
  Problems& problems = profile.problems();
  Map map(*value, "products", profile.where("products"), problems);
  yaml::read_needed(map, "processors", tiling.processors, yaml::read_count,
                    yaml::Range{1, 100'000});
  yaml::read(map, "fill", tiling.fill, yaml::read_number, yaml::Bounds{});
  yaml::read(map, "exposed", tiling.exposed, yaml::read_number, yaml::Bounds{});
  yaml::read(map, "intensity", tiling.intensity, yaml::read_number, yaml::Bounds{});
  if (const yaml::Value* tiles = map.need("tiles")) {
    if (tiles->kind != Kind::list || tiles->items.empty())
      return yaml::expected("a list of tiles such as [256x128, 128x128]", *tiles, problems);
    for (const yaml::Value& item : tiles->items) {
      if (const auto tile = read_tile(item, problems)) tiling.tiles.push_back(*tile);
    }
  }
  map.finish(kUnused);
}

void read_peak(Map& profile, Device& device) {
  const yaml::Value* value = profile.find("peak");
  if (value == nullptr) return;
  Map map(*value, "peak", profile.where("peak"), profile.problems());
  for (const DataType type : data_types()) {
    if (map.find(to_string(type)) != nullptr)
      yaml::read(map, to_string(type), device.peak[type], yaml::read_flop_rate);
  }
}

void read_protocols(Map& messaging_map, Messaging& messaging) {
  const yaml::Value* value = messaging_map.find("protocols");
  if (value == nullptr) return;
  if (value->kind != Kind::list)
    return yaml::expected("a list of protocols", *value, messaging_map.problems());
  const auto read_share = [](const yaml::Value& share, Problems& problems) {
    return yaml::read_number(share, problems, yaml::Bounds{0, 1, true});
  };
  for (const yaml::Value& item : value->items) {
    Map map(item, "protocol", item.where, messaging_map.problems());
    MessageProtocol& protocol = messaging.protocols.emplace_back();
    yaml::read_needed(map, "start", protocol.start, yaml::read_seconds);
    yaml::read_needed(map, "latency", protocol.latency, read_share);
    yaml::read_needed(map, "rate", protocol.rate, read_share);
    map.finish();
  }
}

void read_messaging(Map& profile, Messaging& messaging) {
  const yaml::Value* value = profile.find("messaging");
  if (value == nullptr) return;
  Map map(*value, "messaging", profile.where("messaging"), profile.problems());
  yaml::read(map, "latency", messaging.latency, yaml::read_seconds);
  yaml::read(map, "per_message", messaging.per_message, yaml::read_seconds);
  yaml::read(map, "send_per_byte", messaging.send_per_byte, yaml::read_seconds);
  yaml::read(map, "receive_per_byte", messaging.receive_per_byte, yaml::read_seconds);
  yaml::read(map, "reduce_per_byte", messaging.reduce_per_byte, yaml::read_seconds);
  yaml::read(map, "collective", messaging.collective, yaml::read_seconds);
  yaml::read(map, "first_per_byte", messaging.first_per_byte, yaml::read_seconds);
  read_protocols(map, messaging);
  map.finish(kUnused);
}

void read_capacity(Map& profile, Device& device) {
  const yaml::Value* value = profile.find("capacity");
  if (value == nullptr) return;
  if (value->kind != Kind::list)
    return yaml::expected("a list of numbers", *value, profile.problems());
  for (const yaml::Value& item : value->items) {
    if (const auto number = yaml::read_number(item, profile.problems(), yaml::Bounds{}))
      device.capacity.push_back(*number);
  }
}

std::optional<HourlyPrice> read_hourly_price(const yaml::Value& value, Problems& problems) {
  const auto price = value.kind == Kind::scalar ? parse_hourly_price(value.text) : std::nullopt;
  if (!price) yaml::expected("a price such as '2.5 USD/h'", value, problems);
  return price;
}

std::optional<double> read_error(const yaml::Value& value, Problems& problems) {
  return yaml::read_number(value, problems, yaml::Bounds{0, kMostError});
}

// All or none: what is left out would be taken for known exactly.
void read_errors(Map& profile, Device& device) {
  const yaml::Value* value = profile.find("errors");
  if (value == nullptr) return;
  Map map(*value, "errors", profile.where("errors"), profile.problems());
  PredictionErrors& errors = device.errors.emplace();
  yaml::read_needed(map, "computing", errors.computing, read_error);
  yaml::read_needed(map, "messages", errors.messages, read_error);
  yaml::read_needed(map, "strategy", errors.strategy, read_error);
  map.finish();
}

// What reading each key cannot see: quantities that are 0 because their key is missing or says so.
void check(const Device& device, Map& profile) {
  Problems& problems = profile.problems();
  if (device.memory <= Bytes{}) problems.add(profile.where("memory"), "a device has memory");
  if (!(device.overlap_slowdown < 1)) {
    problems.add(profile.where("overlap_slowdown"),
                 fmt::format("computing loses a share of its speed, from 0 to below 1, got {:g}",
                             device.overlap_slowdown));
  }
  for (const double capacity : device.capacity) {
    if (capacity <= 0) problems.add(profile.where("capacity"), "capacities have to be above 0");
  }
}

std::optional<DeviceKind> read_kind(const yaml::Value& value, Problems& problems) {
  return yaml::read_enum<DeviceKind>(value, "kind of device", {DeviceKind::cpu, DeviceKind::gpu},
                                     problems);
}

std::optional<DataType> read_data_type(const yaml::Value& value, Problems& problems) {
  return yaml::read_enum(value, "data type", data_types(), problems);
}

std::optional<Combine> read_combine(const yaml::Value& value, Problems& problems) {
  return yaml::read_enum<Combine>(value, "way to combine", {Combine::additive, Combine::roofline},
                                  problems);
}

}  // namespace

Result<Device> parse_device(const std::string& text, const std::string& path) {
  const auto source = std::make_shared<SourceText>(path, text);
  Result<yaml::Document> document = yaml::parse(source);
  if (!document) return document.errors();
  Problems problems;
  problems.add(std::move(document->duplicates));
  Map map(document->root, "device profile", {source, 1, 1, 0}, problems);
  Device device;
  yaml::read_needed(map, "name", device.name, yaml::read_name);
  yaml::read_needed(map, "kind", device.kind, read_kind);
  yaml::read(map, "source", device.source, yaml::read_text);
  yaml::read(map, "provenance", device.provenance, read_provenance);
  yaml::read_needed(map, "memory", device.memory, yaml::read_bytes);
  yaml::read_needed(map, "memory_bandwidth", device.memory_bandwidth, yaml::read_bandwidth);
  read_peak(map, device);
  if (map.find("dtype") != nullptr)
    yaml::read(map, "dtype", device.rates_for.emplace(), read_data_type);
  yaml::read(map, "combine", device.combine, read_combine);
  read_kernels(map, device);
  read_tiling(map, device.tiling);
  yaml::read(map, "launch", device.launch, yaml::read_seconds);
  read_messaging(map, device.messaging);
  read_capacity(map, device);
  yaml::read(map, "workspace", device.workspace, yaml::read_bytes);
  yaml::read(map, "context", device.context, yaml::read_bytes);
  yaml::read(map, "fragmentation", device.fragmentation, yaml::read_number,
             yaml::find_key(yaml::section("overheads"), "fragmentation")->type.bounds);
  yaml::read(map, "overlap_slowdown", device.overlap_slowdown, yaml::read_number, yaml::Bounds{});
  yaml::read(map, "communicator", device.communicator, yaml::read_bytes);
  read_errors(map, device);
  if (map.find("price") != nullptr)
    yaml::read(map, "price", device.price.emplace(), read_hourly_price);
  map.finish(kUnused);
  if (problems.empty()) check(device, map);
  if (!problems.empty()) return problems.take();
  return device;
}

Result<Device> read_device(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.errors();
  return parse_device(*text, path);
}

}  // namespace rehearse
