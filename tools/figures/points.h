// Points and lines of series over two axes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/figures/axis.h"

namespace rehearse::figures {

struct PointSeries {
  std::string name, color;
  std::vector<Place> points;           // in units of the axes
  std::vector<std::string> told = {};  // by point; empty: nothing
  bool is_joined = false, has_points = true, is_hollow = false;
};

struct Points {
  std::string title;
  std::string x_label, y_label;
  Measure x = Measure::plain, y = Measure::plain;
  // Of x = 0, 1, ...: texts instead of an axis with numbers.
  std::vector<std::string> x_texts = {};
  std::vector<PointSeries> series;
};

Svg draw(const Points& points);

// Of places, less y is better, less x too or more of it: those that no other beats in both, by x.
std::vector<Place> front_of(std::vector<Place> places, bool more_is_better);

}  // namespace rehearse::figures
