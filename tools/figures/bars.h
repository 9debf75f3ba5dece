// Bars of parts, one below the other, over an axis.
#pragma once

#include <string>
#include <vector>

#include "tools/figures/axis.h"

namespace rehearse::figures {

struct BarRow {
  std::string name;
  std::vector<double> values;  // by part
};

struct Bars {
  std::string title, label;  // of the axis
  Measure measure = Measure::plain;
  std::vector<LegendEntry> parts;
  std::vector<BarRow> rows;
};

Svg draw(const Bars& bars);

}  // namespace rehearse::figures
