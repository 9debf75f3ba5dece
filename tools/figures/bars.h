// Bars of parts, one below the other, over an axis.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/figures/axis.h"

namespace rehearse::figures {

struct BarRow {
  std::string name;
  std::vector<double> values;  // by part
  // In which the sum is expected.
  struct Band {
    double low = 0, high = 0;
  };
  std::optional<Band> band = std::nullopt;
};

struct Bars {
  std::string title, label;  // of the axis
  Measure measure = Measure::plain;
  std::vector<LegendEntry> parts;
  std::vector<BarRow> rows;
  // A line across all bars, and what it is.
  struct Limit {
    double value = 0;
    std::string text;
  };
  std::optional<Limit> limit = std::nullopt;
};

Svg draw(const Bars& bars);

}  // namespace rehearse::figures
