#include "tools/figures/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "model/base/human_number.h"
#include "model/base/text.h"
#include "tools/figures/words.h"

namespace rehearse::figures {
namespace {

struct Unit {
  double size = 1;
  std::string_view name;
};

const std::vector<Unit>& units_of(Measure measure) {
  static const std::vector<Unit> times = {
      {1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}, {1e-12, "ps"}};
  static const std::vector<Unit> bytes = {{std::exp2(40), "TiB"},
                                          {std::exp2(30), "GiB"},
                                          {std::exp2(20), "MiB"},
                                          {std::exp2(10), "KiB"},
                                          {1, "B"}};
  static const std::vector<Unit> shares = {{0.01, "%"}};
  static const std::vector<Unit> none = {{1, ""}};
  switch (measure) {
    case Measure::time:
      return times;
    case Measure::bytes:
      return bytes;
    case Measure::share:
      return shares;
    case Measure::plain:
      break;
  }
  return none;
}

const Unit& unit_of(Measure measure, double value) {
  const std::vector<Unit>& units = units_of(measure);
  if (value == 0) return units.back();
  const auto found = std::find_if(units.begin(), units.end(),
                                  [&](const Unit& unit) { return std::abs(value) >= unit.size; });
  return found == units.end() ? units.back() : *found;
}

// 1, 2 or 5 times a power of ten.
double step_for(double length, int most) {
  const double rough = length / most, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

constexpr double kLegendRow = 17, kSwatch = 11;

}  // namespace

Measure measure_of(std::string_view key) {
  if (key.ends_with("_s") && !key.ends_with("per_s")) return Measure::time;
  if (key.ends_with("bytes") || key.find("bytes.") != key.npos || key.starts_with("bytes_"))
    return Measure::bytes;
  if (key.ends_with("fraction") || key == "mfu" || key.ends_with("utilisation"))
    return Measure::share;
  return Measure::plain;
}

std::string label_of(std::string_view key) {
  if (key == "run_samples_per_s") return "samples/s of a run";
  if (key.ends_with("_per_s")) return words_of(key.substr(0, key.size() - 6)) + "/s";
  if (key == "mfu") return "MFU";
  if (measure_of(key) == Measure::time) return words_of(key.substr(0, key.size() - 2));
  if (key.ends_with("_bytes")) return words_of(key.substr(0, key.size() - 6));
  return words_of(key);
}

std::string human(Measure measure, double value) {
  switch (measure) {
    case Measure::time:
      return rehearse::human(Seconds::seconds(value));
    case Measure::bytes:
      return rehearse::human(Bytes::bytes(std::llround(value)));
    case Measure::share:
      return fmt::format("{:.1f} %", 100 * value);
    case Measure::plain:
      break;
  }
  return human_number(value);
}

Axis::Axis(std::string label, Measure measure, double from, double to, bool log)
    : label_(std::move(label)),
      measure_(measure),
      from_(from),
      to_(to > from ? to : from + 1),
      log_(log) {
  const Unit& unit = unit_of(measure, to);
  size_ = unit.size;
  unit_ = unit.name;
}

double Axis::share(double value) const {
  if (log_) return std::log(value / from_) / std::log(to_ / from_);
  return (value - from_) / (to_ - from_);
}

std::vector<double> Axis::ticks() const {
  if (log_) return measure_ == Measure::bytes ? powers(2) : powers(10);
  std::vector<double> ticks;
  const double step = step_for((to_ - from_) / size_, 5);
  for (double k = std::ceil(from_ / size_ / step - 1e-9); k * step <= to_ / size_ * (1 + 1e-9); ++k)
    ticks.push_back(k * step * size_);
  return ticks;
}

// Of the base, so many apart that there are few; of few tens also 2 and 5 times them.
std::vector<double> Axis::powers(double base) const {
  constexpr double kMost = 8;
  const double first = std::log(from_) / std::log(base), last = std::log(to_) / std::log(base);
  double apart = 1;
  for (const double wider : {2.0, 5.0, 10.0, 20.0}) {
    if ((last - first) / apart > kMost) apart = wider;
  }
  std::vector<double> factors = {1};
  if (base == 10 && last - first < 2.5) factors = {1, 2, 5};
  std::vector<double> ticks;
  for (double k = std::floor(first / apart) * apart; k <= last; k += apart) {
    for (const double factor : factors) {
      const double tick = factor * std::pow(base, k);
      if (tick >= from_ * (1 - 1e-9) && tick <= to_ * (1 + 1e-9)) ticks.push_back(tick);
    }
  }
  return ticks;
}

std::string Axis::text(double value) const {
  if (log_) {
    const Unit& unit = unit_of(measure_, value * (1 + 1e-9));
    const std::string number = fmt::format("{:.6g}", value / unit.size);
    return unit.name.empty() ? human_number(value) : fmt::format("{} {}", number, unit.name);
  }
  const double scaled = value / size_;
  if (std::abs(scaled) < 1e-12) return "0";
  const bool is_whole = scaled == std::round(scaled);
  return measure_ == Measure::plain && is_whole ? human_number(scaled)
                                                : fmt::format("{:.6g}", scaled);
}

std::string Axis::label() const {
  return unit_.empty() || log_ ? label_ : fmt::format("{} ({})", label_, unit_);
}

Axis padded_axis(std::string label, Measure measure, const std::vector<double>& values,
                 bool may_be_log) {
  if (values.empty()) return {std::move(label), measure, 0, 1};
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  constexpr double kWide = 50;
  if (may_be_log && *least > 0 && *most > kWide * *least)
    return {std::move(label), measure, *least / 1.3, *most * 1.3, true};
  const double length = *most > *least ? *most - *least : std::max(std::abs(*most), 1e-30);
  double from = *least - 0.06 * length;
  if (*least >= 0 && (from < 0 || *least < length)) from = 0;
  return {std::move(label), measure, from, *most + 0.06 * length};
}

void draw_title(Svg& svg, std::string_view title) {
  constexpr double kSize = 13, kBold = 1.15;
  svg.text({10, 20}, shortened(title, (svg.width() - 20) / kBold, kSize),
           {Anchor::start, kSize, kInk, true});
}

void draw_bottom(Svg& svg, const Box& area, const Axis& axis) {
  for (const double tick : axis.ticks()) {
    const double x = area.x + axis.share(tick) * area.width;
    svg.line({x, area.y}, {x, area.bottom() + 4}, kLine);
    svg.text({x, area.bottom() + 16}, axis.text(tick), {Anchor::middle});
  }
  svg.line({area.x, area.bottom()}, {area.right(), area.bottom()}, kSoft);
  svg.text({area.x + area.width / 2, area.bottom() + 33}, axis.label(), {Anchor::middle, 12, kInk});
}

void draw_left(Svg& svg, const Box& area, const Axis& axis) {
  double widest = 0;
  for (const double tick : axis.ticks()) {
    const double y = area.bottom() - axis.share(tick) * area.height;
    svg.line({area.x - 4, y}, {area.right(), y}, kLine);
    svg.text({area.x - 7, y + 4}, axis.text(tick), {Anchor::end});
    widest = std::max(widest, text_width(axis.text(tick)));
  }
  svg.line({area.x, area.y}, {area.x, area.bottom()}, kSoft);
  svg.text({std::max(12.0, area.x - 16 - widest), area.y + area.height / 2}, axis.label(),
           {Anchor::middle, 12, kInk, false, -90});
}

namespace {

template <class Visit>
double lay_out_legend(double width, const std::vector<LegendEntry>& entries, Visit visit) {
  double x = 0, y = 0;
  for (const LegendEntry& entry : entries) {
    const std::string name = shortened(entry.name, width - kSwatch - 5);
    const double own = kSwatch + 5 + text_width(name) + 16;
    if (x > 0 && x + own > width) x = 0, y += kLegendRow;
    visit(LegendEntry{name, entry.color}, Place{x, y});
    x += own;
  }
  return entries.empty() ? 0 : y + kLegendRow;
}

}  // namespace

double legend_height(double width, const std::vector<LegendEntry>& entries) {
  return lay_out_legend(width, entries, [](const LegendEntry&, Place) {});
}

double draw_legend(Svg& svg, Place at, double width, const std::vector<LegendEntry>& entries) {
  return lay_out_legend(width, entries, [&](const LegendEntry& entry, Place place) {
    svg.rect({at.x + place.x, at.y + place.y, kSwatch, kSwatch}, entry.color);
    svg.text({at.x + place.x + kSwatch + 5, at.y + place.y + 10}, entry.name);
  });
}

}  // namespace rehearse::figures
