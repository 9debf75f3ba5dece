#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/text.h"
#include "model/scenario/scenario.h"

namespace rehearse {
namespace {

// The shortest way to write the amount that reads back as exactly it. `base` is how many of the
// base unit it is, and the base unit comes first.
template <class T>
std::string in_units(T amount, double base, std::optional<T> (*parse)(std::string_view),
                     std::initializer_list<std::string_view> units) {
  std::string best = fmt::format("{} {}", exact(base), *units.begin());
  for (const std::string_view unit : units) {
    const double factor =
        *parse(fmt::format("1 {}", unit)) / *parse(fmt::format("1 {}", *units.begin()));
    std::string text = fmt::format("{} {}", exact(base / factor), unit);
    if (text.size() <= best.size() && parse(text) == amount) best = std::move(text);
  }
  return best;
}

std::string text_of(Bytes amount) {
  return in_units(amount, static_cast<double>(amount.bytes()), parse_bytes,
                  {"B", "KiB", "MiB", "GiB", "MB", "GB"});
}

std::string text_of(Seconds duration) {
  return in_units(duration, duration.seconds(), parse_seconds, {"s", "ms", "us", "ns"});
}

std::string text_of(BytesPerSecond rate) {
  return in_units(rate, rate.bytes_per_second(), parse_bandwidth, {"B/s", "MB/s", "GB/s"});
}

std::string text_of(FlopsPerSecond rate) {
  return in_units(rate, rate.flops_per_second(), parse_flop_rate, {"FLOP/s", "GFLOP/s", "TFLOP/s"});
}

// As a double-quoted scalar on one line.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += {'\\', c};
    } else if (static_cast<unsigned char>(c) < ' ') {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string peaks(const Device& device) {
  if (device.peak.empty()) return "";
  std::string text = "peak:\n";
  for (const auto& [type, rate] : device.peak) {
    text += fmt::format("  {}: {}\n", to_string(type), text_of(rate));
  }
  return text;
}

std::string dtype(const Device& device) {
  return device.rates_for ? fmt::format("dtype: {}\n", to_string(*device.rates_for)) : "";
}

std::string kernels(const Device& device) {
  std::string text = "kernels:\n";
  for (int k = 0; k < kKernelClassCount; ++k) {
    const auto kernel = static_cast<KernelClass>(k);
    const KernelRate& rate = rate_of(device, kernel);
    const std::string provenance =
        rate.provenance ? fmt::format(", provenance: {}", to_string(*rate.provenance)) : "";
    text += fmt::format("  {}: {{compute: {}, memory: {}, overhead: {}{}}}\n", to_string(kernel),
                        text_of(rate.compute), text_of(rate.memory), text_of(rate.overhead),
                        provenance);
  }
  return text;
}

std::string tiling(const Device& device) {
  const Tiling& t = device.tiling;
  if (t.processors == 0) return "";
  std::vector<std::string> tiles;
  for (const Tile& tile : t.tiles)
    tiles.push_back(fmt::format("{}x{}", tile.m, tile.n));
  return fmt::format(
      "products: {{processors: {}, tiles: [{}], fill: {}, exposed: {}, intensity: {}}}\n",
      t.processors, join(tiles, ", "), exact(t.fill), exact(t.exposed), exact(t.intensity));
}

std::string overlap(const Device& device) {
  return device.overlap_slowdown > 0
             ? fmt::format("overlap_slowdown: {}\n", device.overlap_slowdown)
             : "";
}

std::string launch(const Device& device) {
  return device.launch > Seconds{} ? fmt::format("launch: {}\n", text_of(device.launch)) : "";
}

std::string messaging(const Messaging& m) {
  const std::string collective =
      m.collective > Seconds{} ? fmt::format("  collective: {}\n", text_of(m.collective)) : "";
  return fmt::format(
      "messaging:\n  latency: {}\n  per_message: {}\n  send_per_byte: {}\n  receive_per_byte: {}\n"
      "  reduce_per_byte: {}\n{}",
      text_of(m.latency), text_of(m.per_message), text_of(m.send_per_byte),
      text_of(m.receive_per_byte), text_of(m.reduce_per_byte), collective);
}

std::string capacity(const Device& device) {
  if (device.capacity.empty()) return "";
  std::vector<std::string> parts;
  for (const double ranks : device.capacity)
    parts.push_back(exact(ranks));
  return fmt::format("capacity: [{}]\n", join(parts, ", "));
}

std::string overheads(const Device& device) {
  std::string text = fmt::format("workspace: {}\n", text_of(device.workspace));
  if (device.context > Bytes{}) text += fmt::format("context: {}\n", text_of(device.context));
  if (device.fragmentation > 0)
    text += fmt::format("fragmentation: {}\n", exact(device.fragmentation));
  return text;
}

std::string communicator(const Device& device) {
  if (device.communicator == Bytes{}) return "";
  return fmt::format("communicator: {}\n", text_of(device.communicator));
}

std::string price(const Device& device) {
  return device.price ? fmt::format("price: {} USD/h\n", exact(device.price->dollars)) : "";
}

std::string errors(const Device& device) {
  if (!device.errors) return "";
  return fmt::format("errors: {{computing: {}, messages: {}, strategy: {}}}\n",
                     exact(device.errors->computing), exact(device.errors->messages),
                     exact(device.errors->strategy));
}

}  // namespace

std::string print_device(const Device& device) {
  const std::string source =
      device.source.empty() ? "" : fmt::format("source: {}\n", quoted(device.source));
  return fmt::format("name: {}\nkind: {}\n{}provenance: {}\n", device.name, to_string(device.kind),
                     source, to_string(device.provenance)) +
         fmt::format("memory: {}\nmemory_bandwidth: {}\n", text_of(device.memory),
                     text_of(device.memory_bandwidth)) +
         peaks(device) + dtype(device) + fmt::format("combine: {}\n", to_string(device.combine)) +
         kernels(device) + tiling(device) + launch(device) + overlap(device) +
         messaging(device.messaging) + capacity(device) + overheads(device) + communicator(device) +
         errors(device) + price(device);
}

}  // namespace rehearse
