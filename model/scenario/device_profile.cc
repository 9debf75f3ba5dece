#include <fmt/format.h>

#include <cmath>

#include "model/base/text.h"
#include "model/scenario/reader.h"
#include "model/scenario/scenario.h"

namespace rehearse {
namespace {

using yaml::Kind;
using yaml::Map;
using yaml::Problems;

KernelRate read_rate(const yaml::Value& value, const std::string& name, SourceSpan where, Problems& problems) {
  KernelRate rate;
  Map map(value, name, std::move(where), problems);
  yaml::read_needed(map, "compute", rate.compute, yaml::read_flop_rate);
  yaml::read_needed(map, "memory", rate.memory, yaml::read_bandwidth);
  yaml::read(map, "overhead", rate.overhead, yaml::read_seconds);
  return rate;
}

void read_kernels(Map& profile, Device& device) {
  const yaml::Value* value = profile.need("kernels");
  if (value == nullptr) return;
  Map map(*value, "kernels", profile.where("kernels"), profile.problems());
  for (int k = 0; k < kKernelClassCount; ++k) {
    const std::string name(to_string(static_cast<KernelClass>(k)));
    const yaml::Value* rate = map.need(name);
    if (rate != nullptr) device.kernels[static_cast<std::size_t>(k)] = read_rate(*rate, name, map.where(name), profile.problems());
  }
}

void read_peak(Map& profile, Device& device) {
  const yaml::Value* value = profile.find("peak");
  if (value == nullptr) return;
  Map map(*value, "peak", profile.where("peak"), profile.problems());
  for (const DataType type : data_types()) {
    if (map.find(to_string(type)) != nullptr) yaml::read(map, to_string(type), device.peak[type], yaml::read_flop_rate);
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
}

void read_capacity(Map& profile, Device& device) {
  const yaml::Value* value = profile.find("capacity");
  if (value == nullptr) return;
  if (value->kind != Kind::list) return yaml::expected("a list of numbers", *value, profile.problems());
  for (const yaml::Value& item : value->items) {
    if (const auto number = yaml::read_number(item, profile.problems(), 0)) device.capacity.push_back(*number);
  }
}

// Everything that is divided by has to be above 0.
void check(const Device& device, Map& profile) {
  for (int k = 0; k < kKernelClassCount; ++k) {
    const KernelRate& rate = device.kernels[static_cast<std::size_t>(k)];
    if (rate.compute > FlopsPerSecond{} && rate.memory > BytesPerSecond{}) continue;
    profile.problems().add(profile.where("kernels"), fmt::format("the rates of '{}' have to be above 0", to_string(static_cast<KernelClass>(k))));
  }
  if (device.memory <= Bytes{}) profile.problems().add(profile.where("memory"), "a device has memory");
  if (device.memory_bandwidth <= BytesPerSecond{}) profile.problems().add(profile.where("memory_bandwidth"), "the memory's bandwidth has to be above 0");
  for (const double capacity : device.capacity) {
    if (capacity <= 0) profile.problems().add(profile.where("capacity"), "capacities have to be above 0");
  }
}

class Printer {
 public:
  explicit Printer(const Device& device) : device_(device) {}

  std::string run() {
    line("name: {}", device_.name);
    line("kind: {}", to_string(device_.kind));
    line("source: {}", quoted(device_.source));
    line("provenance: {}", to_string(device_.provenance));
    line("memory: {} B", device_.memory.bytes());
    line("memory_bandwidth: {} B/s", exact(device_.memory_bandwidth.bytes_per_second()));
    if (!device_.peak.empty()) line("peak:");
    for (const auto& [type, rate] : device_.peak) line("  {}: {} FLOP/s", to_string(type), exact(rate.flops_per_second()));
    line("combine: {}", to_string(device_.combine));
    line("kernels:");
    for (int k = 0; k < kKernelClassCount; ++k) rate(static_cast<KernelClass>(k));
    messaging();
    if (!device_.capacity.empty()) line("capacity: [{}]", capacities());
    line("workspace: {} B", device_.workspace.bytes());
    return std::move(text_);
  }

 private:
  template <class... Values>
  void line(fmt::format_string<Values...> format, Values&&... values) {
    text_ += fmt::format(format, std::forward<Values>(values)...) + "\n";
  }

  static std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') result += '\\';
      result += c == '\n' ? ' ' : c;
    }
    return result + "\"";
  }

  void rate(KernelClass kernel) {
    const KernelRate& rate = rate_of(device_, kernel);
    line("  {}: {{compute: {} FLOP/s, memory: {} B/s, overhead: {} s}}", to_string(kernel),
         exact(rate.compute.flops_per_second()), exact(rate.memory.bytes_per_second()), exact(rate.overhead.seconds()));
  }

  void messaging() {
    const Messaging& m = device_.messaging;
    line("messaging:");
    line("  latency: {} s", exact(m.latency.seconds()));
    line("  per_message: {} s", exact(m.per_message.seconds()));
    line("  send_per_byte: {} s", exact(m.send_per_byte.seconds()));
    line("  receive_per_byte: {} s", exact(m.receive_per_byte.seconds()));
    line("  reduce_per_byte: {} s", exact(m.reduce_per_byte.seconds()));
  }

  std::string capacities() const {
    std::vector<std::string> parts;
    for (const double capacity : device_.capacity) parts.push_back(exact(capacity));
    return join(parts, ", ");
  }

  const Device& device_;
  std::string text_;
};

}  // namespace

Result<std::string> read_text_file(const std::string& path);

Result<Device> parse_device(const std::string& text, const std::string& path) {
  const auto source = std::make_shared<SourceText>(path, text);
  const Result<yaml::Value> root = yaml::parse(source);
  if (!root) return root.errors();
  Problems problems;
  Map map(*root, "device profile", {source, 1, 1, 0}, problems);
  Device device;
  yaml::read_needed(map, "name", device.name, yaml::read_name);
  yaml::read_needed(map, "kind", device.kind, [](const yaml::Value& v, Problems& p) {
    return yaml::read_enum<DeviceKind>(v, "kind of device", {DeviceKind::cpu, DeviceKind::gpu}, p);
  });
  yaml::read(map, "source", device.source, yaml::read_text);
  yaml::read(map, "provenance", device.provenance, [](const yaml::Value& v, Problems& p) {
    return yaml::read_enum<Provenance>(v, "provenance", {Provenance::assumed, Provenance::measured, Provenance::published}, p);
  });
  yaml::read_needed(map, "memory", device.memory, yaml::read_bytes);
  yaml::read_needed(map, "memory_bandwidth", device.memory_bandwidth, yaml::read_bandwidth);
  read_peak(map, device);
  yaml::read(map, "combine", device.combine, [](const yaml::Value& v, Problems& p) {
    return yaml::read_enum<Combine>(v, "way to combine", {Combine::additive, Combine::roofline}, p);
  });
  read_kernels(map, device);
  read_messaging(map, device.messaging);
  read_capacity(map, device);
  yaml::read(map, "workspace", device.workspace, yaml::read_bytes);
  if (problems.empty()) check(device, map);
  if (!problems.empty()) return problems.take();
  return device;
}

Result<Device> read_device(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.errors();
  return parse_device(*text, path);
}

std::string print_device(const Device& device) { return Printer(device).run(); }

}  // namespace rehearse
