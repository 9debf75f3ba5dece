#include "model/base/text.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <array>
#include <charconv>
#include <cmath>

namespace rehearse {
namespace {

struct UnitName {
  std::string_view name;
  double factor;
};

// Three significant digits, without an exponent. What lies midway goes away from zero, as in the
// report's page, where the language's own rule has it so.
std::string significant(double number) {
  const double x = std::nextafter(number, number < 0 ? -HUGE_VAL : HUGE_VAL);
  const double magnitude = std::fabs(number);
  if (magnitude >= 99.95 || magnitude == 0) return fmt::format("{:.0f}", x);
  if (magnitude >= 9.995) return fmt::format("{:.1f}", x);
  return fmt::format("{:.2f}", x);
}

// Uses the largest unit of which there is at least one; units go from large to small.
template <std::size_t N>
std::string scaled(double x, const std::array<UnitName, N>& units) {
  for (const UnitName& unit : units) {
    // The small allowance moves 999.96 to the next unit instead of printing it as 1000.
    if (std::fabs(x) >= 1e9 * unit.factor)
      return fmt::format("{:.3g} {}", x / unit.factor, unit.name);
    if (std::fabs(x) >= 0.9995 * unit.factor) {
      return fmt::format("{} {}", significant(x / unit.factor), unit.name);
    }
  }
  return fmt::format("{:.3g} {}", x / units.back().factor, units.back().name);
}

// "<number> <unit>" with optional white space between.
template <std::size_t N>
std::optional<double> parse_quantity(std::string_view text, const std::array<UnitName, N>& units) {
  const auto start = text.find_first_not_of("+-.0123456789eE");
  if (start == std::string_view::npos) return std::nullopt;
  std::string_view digits = text.substr(0, start);
  std::string_view name = text.substr(start);
  // "1 EiB" and "2e3" share letters: an 'e' or 'E' that ends the digits belongs to the unit.
  while (!digits.empty() && (digits.back() == 'e' || digits.back() == 'E')) {
    digits.remove_suffix(1);
    name = text.substr(digits.size());
  }
  const auto number = parse_number(trim(digits));
  if (!number) return std::nullopt;
  for (const UnitName& unit : units) {
    if (trim(name) == unit.name) return *number * unit.factor;
  }
  return std::nullopt;
}

constexpr std::array kBytes{UnitName{"PiB", 0x1p50}, UnitName{"TiB", 0x1p40},
                            UnitName{"GiB", 0x1p30}, UnitName{"MiB", 0x1p20},
                            UnitName{"KiB", 0x1p10}, UnitName{"B", 1}};
constexpr std::array kBytesAsWritten{
    UnitName{"B", 1},        UnitName{"kB", 1e3},     UnitName{"KB", 1e3},
    UnitName{"MB", 1e6},     UnitName{"GB", 1e9},     UnitName{"TB", 1e12},
    UnitName{"KiB", 0x1p10}, UnitName{"MiB", 0x1p20}, UnitName{"GiB", 0x1p30},
    UnitName{"TiB", 0x1p40}, UnitName{"PiB", 0x1p50}};
constexpr std::array kSeconds{UnitName{"s", 1}, UnitName{"ms", 1e-3}, UnitName{"us", 1e-6},
                              UnitName{"ns", 1e-9}, UnitName{"ps", 1e-12}};
constexpr std::array kSecondsAsWritten{UnitName{"s", 1}, UnitName{"ms", 1e-3}, UnitName{"us", 1e-6},
                                       UnitName{"ns", 1e-9}, UnitName{"ps", 1e-12}};
constexpr std::array kBandwidth{UnitName{"TB/s", 1e12}, UnitName{"GB/s", 1e9},
                                UnitName{"MB/s", 1e6}, UnitName{"kB/s", 1e3}, UnitName{"B/s", 1}};
constexpr std::array kBandwidthAsWritten{
    UnitName{"B/s", 1},        UnitName{"kB/s", 1e3},     UnitName{"MB/s", 1e6},
    UnitName{"GB/s", 1e9},     UnitName{"TB/s", 1e12},    UnitName{"KiB/s", 0x1p10},
    UnitName{"MiB/s", 0x1p20}, UnitName{"GiB/s", 0x1p30}, UnitName{"TiB/s", 0x1p40},
    UnitName{"b/s", 1.0 / 8},  UnitName{"kb/s", 1e3 / 8}, UnitName{"Mb/s", 1e6 / 8},
    UnitName{"Gb/s", 1e9 / 8}, UnitName{"Tb/s", 1e12 / 8}};
constexpr std::array kFlopRate{UnitName{"PFLOP/s", 1e15}, UnitName{"TFLOP/s", 1e12},
                               UnitName{"GFLOP/s", 1e9}, UnitName{"MFLOP/s", 1e6},
                               UnitName{"FLOP/s", 1}};
constexpr std::array kFlops{UnitName{"EFLOP", 1e18}, UnitName{"PFLOP", 1e15},
                            UnitName{"TFLOP", 1e12}, UnitName{"GFLOP", 1e9},
                            UnitName{"MFLOP", 1e6},  UnitName{"kFLOP", 1e3},
                            UnitName{"FLOP", 1}};

}  // namespace

std::string human(Bytes amount) {
  if (std::abs(amount.bytes()) < 1000) return fmt::format("{} B", amount.bytes());
  return scaled(static_cast<double>(amount.bytes()), kBytes);
}
std::string human(Seconds duration) {
  constexpr double kNothing =
      5e-12;  // simulated instants are whole picoseconds: sums of them round
  if (std::fabs(duration.seconds()) < kNothing) return "0 s";
  return scaled(duration.seconds(), kSeconds);
}
std::string human(BytesPerSecond rate) {
  return scaled(rate.bytes_per_second(), kBandwidth);
}
std::string human(FlopsPerSecond rate) {
  return scaled(rate.flops_per_second(), kFlopRate);
}
std::string human(Flops amount) {
  return scaled(amount.flops(), kFlops);
}

std::string human_count(std::int64_t n) {
  std::string digits = std::to_string(n < 0 ? -n : n);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return n < 0 ? "-" + digits : digits;
}

std::string exact(double x) {
  return fmt::format("{}", x);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  if (text.empty()) return parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<Bytes> parse_bytes(std::string_view text) {
  const auto value = parse_quantity(text, kBytesAsWritten);
  // Half a byte is a typo, and 2^63 bytes do not fit.
  if (!value || *value != std::floor(*value) || std::fabs(*value) > 0x1p62) return std::nullopt;
  return Bytes::bytes(static_cast<std::int64_t>(*value));
}

std::optional<Seconds> parse_seconds(std::string_view text) {
  const auto value = parse_quantity(text, kSecondsAsWritten);
  if (!value) return std::nullopt;
  return Seconds::seconds(*value);
}

std::optional<BytesPerSecond> parse_bandwidth(std::string_view text) {
  const auto value = parse_quantity(text, kBandwidthAsWritten);
  if (!value) return std::nullopt;
  return BytesPerSecond::bytes_per_second(*value);
}

std::optional<FlopsPerSecond> parse_flop_rate(std::string_view text) {
  const auto value = parse_quantity(text, kFlopRate);
  if (!value) return std::nullopt;
  return FlopsPerSecond::flops_per_second(*value);
}

std::string hash_text(std::string_view text) {
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

}  // namespace rehearse
