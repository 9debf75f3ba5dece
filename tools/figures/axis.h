// Axes with units: what a value is in pixels, where ticks stand, and what they say.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/figures/svg.h"

namespace rehearse::figures {

enum class Measure { time, bytes, share, plain };  // s, B, of 1, of no unit

// Of a figure by its key: "step_time_s", "peak_memory_bytes", "mfu".
Measure measure_of(std::string_view key);
// As people read it: "step time", "peak memory".
std::string label_of(std::string_view key);
// A value with its unit, as all of rehearse says it (model/base/text.h): "12.3 MiB".
std::string human(Measure measure, double value);

// Ticks are 1, 2 or 5 times a power of ten of one unit that suits the larger value, so of bytes of
// KiB, MiB or GiB. Logarithmic ones are powers of ten, of bytes powers of two, each with its unit.
class Axis {
 public:
  // Of values from `from` to `to`. log: from > 0.
  Axis(std::string label, Measure measure, double from, double to, bool log = false);

  // 0 at `from`, 1 at `to`.
  double share(double value) const;
  std::vector<double> ticks() const;
  std::string text(double value) const;  // of a tick; without the unit unless it is logarithmic
  std::string label() const;             // with it otherwise: "step time (ms)"

 private:
  std::vector<double> powers(double base) const;

  std::string label_, unit_;
  Measure measure_;
  double size_ = 1;  // of the unit
  double from_, to_;
  bool log_;
};

// Room for values at the ends of an axis; zero where they are near it.
Axis padded_axis(std::string label, Measure measure, const std::vector<double>& values,
                 bool may_be_log);

// With lines across the area at its ticks.
void draw_bottom(Svg& svg, const Box& area, const Axis& axis);
void draw_left(Svg& svg, const Box& area, const Axis& axis);

inline const std::string kInk = "#1c2430", kSoft = "#3a4552", kLine = "#d9dee5", kIdle = "#cfd5dd",
                         kPath = "#c22f4e";
// At the top of a picture, as long as it is wide.
void draw_title(Svg& svg, std::string_view title);

struct LegendEntry {
  std::string name, color;
};
// In rows of at most so much width; the height that they take.
double draw_legend(Svg& svg, Place at, double width, const std::vector<LegendEntry>& entries);
double legend_height(double width, const std::vector<LegendEntry>& entries);

}  // namespace rehearse::figures
