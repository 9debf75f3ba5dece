#include "model/cluster/samples.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostErrors = 20;

// ---- writing ---------------------------------------------------------------------------------

Json to_json(const std::vector<Seconds>& times) {
  Json array = Json::array();
  for (const Seconds time : times)
    array.push_back(time.seconds());
  return array;
}

Json to_json(const KernelSample& s) {
  Json json = {{"class", to_string(s.kernel)},
               {"what", s.what},
               {"flops", s.flops.flops()},
               {"traffic_bytes", s.traffic.bytes()},
               {"best_s", s.best.seconds()},
               {"median_s", s.seconds.seconds()},
               {"runs", s.runs},
               {"calls", s.calls}};
  if (s.step) json["step"] = *s.step;
  return json;
}

Json to_json(const StepSample& s) {
  return {{"network", s.network}, {"samples", s.samples}, {"repeats_s", to_json(s.repeats)}};
}

Json to_json(const CopySample& s) {
  return {{"bytes", s.bytes.bytes()},
          {"median_s", s.seconds.seconds()},
          {"ranks", s.ranks},
          {"way", to_string(s.way)}};
}

Json to_json(const MessageSample& s) {
  Json json = {{"bytes", s.bytes.bytes()},
               {"round_trip_s", s.round_trip.seconds()},
               {"send_s", s.send.seconds()},
               {"receive_s", s.receive.seconds()},
               {"pairs", s.pairs}};
  if (!s.repeats.empty()) json["repeats_s"] = to_json(s.repeats);
  return json;
}

Json to_json(const CollectiveSample& s) {
  return {{"ranks", s.ranks},
          {"bytes", s.bytes.bytes()},
          {"element_bytes", s.element_bytes},
          {"median_s", s.seconds.seconds()},
          {"repeats_s", to_json(s.repeats)}};
}

Json to_json(const ReduceSample& s) {
  return {{"bytes", s.bytes.bytes()}, {"median_s", s.seconds.seconds()}};
}

Json to_json(const CapacitySample& s) {
  return {{"class", to_string(s.kernel)}, {"busy_ranks", s.busy}, {"work", s.work}};
}

Json to_json(const Host& host) {
  return {{"processor", host.processor},
          {"cores", host.cores},
          {"memory_bytes", host.memory.bytes()},
          {"ranks", host.ranks},
          {"backend", host.backend}};
}

Json to_json(const Gpu& gpu) {
  return {{"name", gpu.name}, {"driver", gpu.driver}, {"memory_bytes", gpu.memory.bytes()}};
}

Json to_json(const LaunchSample& s) {
  return {{"host_s", s.host.seconds()}, {"device_s", s.device.seconds()}};
}

template <class Sample>
Json list(const std::vector<Sample>& samples) {
  Json array = Json::array();
  for (const Sample& sample : samples)
    array.push_back(to_json(sample));
  return array;
}

// ---- reading ---------------------------------------------------------------------------------

std::optional<KernelClass> parse_kernel_class(std::string_view name) {
  for (int k = 0; k < kKernelClassCount; ++k) {
    if (to_string(static_cast<KernelClass>(k)) == name) return static_cast<KernelClass>(k);
  }
  return std::nullopt;
}

constexpr CopyWay kCopyWays[] = {CopyWay::within, CopyWay::to_device, CopyWay::to_host};

// Reads fields of objects and notes what is wrong with them; a field that is wrong reads as a
// default, which nobody sees since the whole file is refused.
class Reader {
 public:
  explicit Reader(std::string name) : name_(std::move(name)) {}
  const Diagnostics& errors() const { return errors_; }

  void fail(const std::string& pointer, const std::string& message) {
    if (errors_.size() >= kMostErrors) return;
    errors_.push_back({std::nullopt, fmt::format("{}: {}: {}", name_, pointer, message), {}});
  }

  const Json* find(const Json& object, const std::string& pointer, const char* key) {
    if (!object.is_object()) {
      fail(pointer.empty() ? "/" : pointer,
           fmt::format("expected an object, got {}", object.dump()));
      return nullptr;
    }
    const auto found = object.find(key);
    if (found != object.end()) return &*found;
    fail(fmt::format("{}/{}", pointer, key), "is missing");
    return nullptr;
  }

  std::string text(const Json& object, const std::string& pointer, const char* key) {
    const Json* node = find(object, pointer, key);
    if (node == nullptr || node->is_string())
      return node == nullptr ? "" : node->get<std::string>();
    expected("a text", *node, pointer, key);
    return "";
  }

  std::int64_t count(const Json& object, const std::string& pointer, const char* key,
                     std::int64_t least) {
    const Json* node = find(object, pointer, key);
    if (node == nullptr) return least;
    if (node->is_number_integer() && node->get<std::int64_t>() >= least) {
      return node->get<std::int64_t>();
    }
    expected(fmt::format("a whole number from {}", least), *node, pointer, key);
    return least;
  }

  Bytes bytes(const Json& object, const std::string& pointer, const char* key) {
    return Bytes::bytes(count(object, pointer, key, 0));
  }

  double amount(const Json& object, const std::string& pointer, const char* key) {
    const Json* node = find(object, pointer, key);
    if (node == nullptr) return 0;
    if (node->is_number() && node->get<double>() >= 0) return node->get<double>();
    expected("a number from 0", *node, pointer, key);
    return 0;
  }

  double positive(const Json& object, const std::string& pointer, const char* key) {
    const Json* node = find(object, pointer, key);
    if (node == nullptr) return 1;
    if (node->is_number() && node->get<double>() > 0) return node->get<double>();
    expected("a positive number", *node, pointer, key);
    return 1;
  }
  Seconds seconds(const Json& object, const std::string& pointer, const char* key) {
    return Seconds::seconds(positive(object, pointer, key));
  }

  KernelClass kernel(const Json& object, const std::string& pointer) {
    const std::string name = text(object, pointer, "class");
    const auto parsed = parse_kernel_class(name);
    if (!parsed) fail(pointer + "/class", fmt::format("no kernel class is called '{}'", name));
    return parsed.value_or(KernelClass::elementwise);
  }

  CopyWay way(const Json& object, const std::string& pointer) {
    const std::string name = text(object, pointer, "way");
    for (const CopyWay way : kCopyWays) {
      if (to_string(way) == name) return way;
    }
    fail(pointer + "/way", fmt::format("no way of copying is called '{}'", name));
    return CopyWay::within;
  }

  // What may be missing.
  template <class Part>
  std::optional<Part> part(const Json& root, const char* key,
                           Part (Reader::*read)(const Json&, const std::string&)) {
    if (!root.contains(key)) return std::nullopt;
    return (this->*read)(root[key], fmt::format("/{}", key));
  }

  template <class Sample>
  std::vector<Sample> list(const Json& root, const char* key,
                           Sample (Reader::*read)(const Json&, const std::string&)) {
    std::vector<Sample> samples;
    const Json* array = find(root, "", key);
    if (array == nullptr) return samples;
    if (!array->is_array()) {
      expected("a list", *array, "", key);
      return samples;
    }
    for (std::size_t i = 0; i < array->size(); ++i) {
      samples.push_back((this->*read)((*array)[i], fmt::format("/{}/{}", key, i)));
    }
    return samples;
  }

  Host host(const Json& o, const std::string& at) {
    return {text(o, at, "processor"), count(o, at, "cores", 1), bytes(o, at, "memory_bytes"),
            count(o, at, "ranks", 1), text(o, at, "backend")};
  }
  Gpu gpu(const Json& o, const std::string& at) {
    return {text(o, at, "name"), text(o, at, "driver"),
            Bytes::bytes(count(o, at, "memory_bytes", 1))};
  }
  LaunchSample launch(const Json& o, const std::string& at) {
    return {seconds(o, at, "host_s"), seconds(o, at, "device_s")};
  }
  KernelSample kernel_sample(const Json& o, const std::string& at) {
    KernelSample sample = timed_kernel(o, at);
    if (o.is_object() && o.contains("step"))
      sample.step = static_cast<std::size_t>(count(o, at, "step", 0));
    return sample;
  }
  KernelSample timed_kernel(const Json& o, const std::string& at) {
    return {kernel(o, at),
            text(o, at, "what"),
            Flops::flops(amount(o, at, "flops")),
            bytes(o, at, "traffic_bytes"),
            seconds(o, at, "best_s"),
            seconds(o, at, "median_s"),
            count(o, at, "runs", 1),
            count(o, at, "calls", 1)};
  }
  StepSample step_sample(const Json& o, const std::string& at) {
    return {text(o, at, "network"), count(o, at, "samples", 1), repeats(o, at)};
  }
  std::vector<Seconds> repeats(const Json& o, const std::string& at) {
    std::vector<Seconds> times;
    const Json* all = find(o, at, "repeats_s");
    if (all == nullptr) return times;
    if (!all->is_array()) {
      expected("a list", *all, at, "repeats_s");
      return times;
    }
    for (const Json& one : *all) {
      if (!one.is_number() || one.get<double>() <= 0) {
        expected("positive numbers", one, at, "repeats_s");
        break;
      }
      times.push_back(Seconds::seconds(one.get<double>()));
    }
    return times;
  }
  CollectiveSample collective_sample(const Json& o, const std::string& at) {
    return {count(o, at, "ranks", 2), bytes(o, at, "bytes"), count(o, at, "element_bytes", 1),
            seconds(o, at, "median_s"), repeats(o, at)};
  }
  CopySample copy_sample(const Json& o, const std::string& at) {
    const bool has_way = o.is_object() && o.contains("way");  // since version 2
    return {bytes(o, at, "bytes"), seconds(o, at, "median_s"), count(o, at, "ranks", 1),
            has_way ? way(o, at) : CopyWay::within};
  }
  MessageSample message_sample(const Json& o, const std::string& at) {
    const bool has_repeats = o.is_object() && o.contains("repeats_s");  // since version 3
    return {bytes(o, at, "bytes"),
            seconds(o, at, "round_trip_s"),
            Seconds::seconds(amount(o, at, "send_s")),
            Seconds::seconds(amount(o, at, "receive_s")),
            count(o, at, "pairs", 1),
            has_repeats ? repeats(o, at) : std::vector<Seconds>{}};
  }
  ReduceSample reduce_sample(const Json& o, const std::string& at) {
    return {bytes(o, at, "bytes"), seconds(o, at, "median_s")};
  }
  CapacitySample capacity_sample(const Json& o, const std::string& at) {
    return {kernel(o, at), count(o, at, "busy_ranks", 1), positive(o, at, "work")};
  }

 private:
  void expected(const std::string& what, const Json& got, const std::string& pointer,
                const char* key) {
    fail(fmt::format("{}/{}", pointer, key), fmt::format("expected {}, got {}", what, got.dump()));
  }

  std::string name_;
  Diagnostics errors_;
};

Result<Json> parse_json(const std::string& text, const std::string& name) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& failure) {
    return error(fmt::format("{}: byte {}: not JSON", name, failure.byte));
  } catch (const Json::out_of_range&) {
    return error(fmt::format("{}: a number in it is beyond every number of this machine", name));
  }
}

}  // namespace

std::string_view to_string(CopyWay way) {
  switch (way) {
    case CopyWay::within:
      return "within";
    case CopyWay::to_device:
      return "to-device";
    case CopyWay::to_host:
      return "to-host";
  }
  REHEARSE_UNREACHABLE("way of copying");
}

std::string print(const Samples& samples) {
  Json root = {
      {"version", Samples::kVersion},
      {"date", samples.date},
      {"host", to_json(samples.host)},
      {"dtype", to_string(samples.dtype)},
      {"workspace_bytes", samples.workspace.bytes()},
      {"kernels", list(samples.kernels)},
      {"copies", list(samples.copies)},
      {"steps", list(samples.steps)},
      {"messages", list(samples.messages)},
      {"collectives", list(samples.collectives)},
      {"reductions", list(samples.reductions)},
      {"capacity", list(samples.capacity)},
  };
  if (samples.gpu) root["gpu"] = to_json(*samples.gpu);
  if (samples.launch) root["launch"] = to_json(*samples.launch);
  return root.dump(1) + "\n";
}

Result<Samples> parse_samples(const std::string& text, const std::string& name) {
  const Result<Json> root = parse_json(text, name);
  if (!root) return root.errors();
  Reader reader(name);
  const std::int64_t version = reader.count(*root, "", "version", 1);
  if (version > Samples::kVersion) {
    reader.fail("/version", fmt::format("expected at most {}, got {}", Samples::kVersion, version));
  }
  if (!reader.errors().empty()) return reader.errors();

  Samples samples;
  if (version >= 2) samples.date = reader.text(*root, "", "date");
  if (const Json* host = reader.find(*root, "", "host")) samples.host = reader.host(*host, "/host");
  const std::string dtype = reader.text(*root, "", "dtype");
  if (const auto parsed = parse_data_type(dtype)) {
    samples.dtype = *parsed;
  } else if (!dtype.empty()) {  // a missing one has been noted
    reader.fail("/dtype", fmt::format("no data type is called '{}'", dtype));
  }
  samples.workspace = reader.bytes(*root, "", "workspace_bytes");
  samples.kernels = reader.list(*root, "kernels", &Reader::kernel_sample);
  samples.copies = reader.list(*root, "copies", &Reader::copy_sample);
  samples.messages = reader.list(*root, "messages", &Reader::message_sample);
  samples.reductions = reader.list(*root, "reductions", &Reader::reduce_sample);
  samples.capacity = reader.list(*root, "capacity", &Reader::capacity_sample);
  if (version >= 3) {
    samples.steps = reader.list(*root, "steps", &Reader::step_sample);
    samples.collectives = reader.list(*root, "collectives", &Reader::collective_sample);
  }
  for (std::size_t k = 0; k < samples.kernels.size(); ++k) {
    const auto& step = samples.kernels[k].step;
    if (!step || *step < samples.steps.size()) continue;
    reader.fail(fmt::format("/kernels/{}/step", k),
                fmt::format("there are {} steps, counted from 0", samples.steps.size()));
  }
  samples.gpu = reader.part(*root, "gpu", &Reader::gpu);
  samples.launch = reader.part(*root, "launch", &Reader::launch);
  if (!reader.errors().empty()) return reader.errors();
  return samples;
}

}  // namespace rehearse
