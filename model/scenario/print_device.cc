#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/text.h"
#include "model/scenario/scenario.h"

namespace rehearse {
namespace {

double in_base(Bytes amount) {
  return static_cast<double>(amount.bytes());
}
double in_base(Seconds duration) {
  return duration.seconds();
}
double in_base(BytesPerSecond rate) {
  return rate.bytes_per_second();
}
double in_base(FlopsPerSecond rate) {
  return rate.flops_per_second();
}

// How amounts are written; the base unit comes first.
template <class T>
struct Notation {
  std::optional<T> (*parse)(std::string_view);
  std::vector<std::string_view> units;
};
const Notation<Bytes> kBytes{parse_bytes, {"B", "KiB", "MiB", "GiB", "MB", "GB"}};
const Notation<Seconds> kSeconds{parse_seconds, {"s", "ms", "us", "ns"}};
const Notation<BytesPerSecond> kBandwidth{parse_bandwidth, {"B/s", "MB/s", "GB/s"}};
const Notation<FlopsPerSecond> kFlopRate{parse_flop_rate, {"FLOP/s", "GFLOP/s", "TFLOP/s"}};

// Nothing where it would not read back as exactly the amount.
template <class T>
std::optional<std::string> text_in(std::string_view unit, T amount, const Notation<T>& notation) {
  const double factor = *notation.parse(fmt::format("1 {}", unit)) /
                        *notation.parse(fmt::format("1 {}", notation.units.front()));
  std::string text = fmt::format("{} {}", exact(in_base(amount) / factor), unit);
  if (notation.parse(text) != amount) return std::nullopt;
  return text;
}

// The shortest way to write the amount.
template <class T>
std::string text_of(T amount, const Notation<T>& notation) {
  std::string best = fmt::format("{} {}", exact(in_base(amount)), notation.units.front());
  for (const std::string_view unit : notation.units) {
    std::optional<std::string> text = text_in(unit, amount, notation);
    if (text && text->size() <= best.size()) best = *std::move(text);
  }
  return best;
}
std::string text_of(Bytes amount) {
  return text_of(amount, kBytes);
}
std::string text_of(Seconds duration) {
  return text_of(duration, kSeconds);
}
std::string text_of(BytesPerSecond rate) {
  return text_of(rate, kBandwidth);
}
std::string text_of(FlopsPerSecond rate) {
  return text_of(rate, kFlopRate);
}

std::size_t length_of(const std::vector<std::string>& texts) {
  std::size_t length = 0;
  for (const std::string& text : texts)
    length += text.size();
  return length;
}

std::vector<std::string> padded(std::vector<std::string> texts) {
  std::size_t width = 0;
  for (const std::string& text : texts)
    width = std::max(width, text.size());
  for (std::string& text : texts)
    text.insert(0, width - text.size(), ' ');
  return texts;
}

// Amounts that stand below one another: in one unit, the one in which they are shortest, if there
// is one that writes them all.
template <class T>
std::vector<std::string> column_of(const std::vector<T>& amounts, const Notation<T>& notation) {
  std::optional<std::vector<std::string>> best;
  for (const std::string_view unit : notation.units) {
    std::vector<std::string> texts;
    for (const T amount : amounts) {
      if (auto text = text_in(unit, amount, notation)) texts.push_back(*std::move(text));
    }
    if (texts.size() < amounts.size()) continue;
    if (!best || length_of(texts) <= length_of(*best)) best = std::move(texts);
  }
  if (best) return padded(*std::move(best));
  std::vector<std::string> texts;
  for (const T amount : amounts)
    texts.push_back(text_of(amount, notation));
  return padded(std::move(texts));
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
  std::vector<FlopsPerSecond> compute;
  std::vector<BytesPerSecond> memory;
  std::vector<Seconds> overhead;
  for (const KernelRate& rate : device.kernels) {
    compute.push_back(rate.compute);
    memory.push_back(rate.memory);
    overhead.push_back(rate.overhead);
  }
  const auto computes = column_of(compute, kFlopRate), memories = column_of(memory, kBandwidth),
             overheads = column_of(overhead, kSeconds);
  std::string text = "kernels:\n";
  for (std::size_t k = 0; k < device.kernels.size(); ++k) {
    const auto& own = device.kernels[k].provenance;
    const std::string provenance = own ? fmt::format(", provenance: {}", to_string(*own)) : "";
    text += fmt::format("  {:<15} {{compute: {}, memory: {}, overhead: {}{}}}\n",
                        fmt::format("{}:", to_string(static_cast<KernelClass>(k))), computes[k],
                        memories[k], overheads[k], provenance);
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

std::string collectives(const Messaging& m) {
  std::string text;
  if (m.collective > Seconds{}) text += fmt::format("  collective: {}\n", text_of(m.collective));
  if (m.first_per_byte > Seconds{})
    text += fmt::format("  first_per_byte: {}\n", text_of(m.first_per_byte));
  if (!m.protocols.empty()) text += "  protocols:\n";
  for (const MessageProtocol& protocol : m.protocols)
    text += fmt::format("    - {{start: {}, latency: {}, rate: {}}}\n", text_of(protocol.start),
                        exact(protocol.latency), exact(protocol.rate));
  return text;
}

std::string messaging(const Messaging& m) {
  const auto messages = column_of({m.latency, m.per_message}, kSeconds),
             bytes = column_of({m.send_per_byte, m.receive_per_byte, m.reduce_per_byte}, kSeconds);
  return fmt::format(
      "messaging:\n  latency:     {}\n  per_message: {}\n"
      "  send_per_byte:    {}\n  receive_per_byte: {}\n  reduce_per_byte:  {}\n{}",
      messages[0], messages[1], bytes[0], bytes[1], bytes[2], collectives(m));
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
