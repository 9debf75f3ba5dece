#include "tools/figures/points.h"

#include <algorithm>

namespace rehearse::figures {
namespace {

std::vector<double> all(const Points& points, double Place::*figure) {
  std::vector<double> values;
  for (const PointSeries& series : points.series) {
    for (const Place& point : series.points)
      values.push_back(point.*figure);
  }
  return values;
}

void draw_texts(Svg& svg, const Box& area, const Points& points, const Axis& axis) {
  for (std::size_t k = 0; k < points.x_texts.size(); ++k) {
    const double x = area.x + axis.share(static_cast<double>(k)) * area.width;
    svg.line({x, area.y}, {x, area.bottom() + 4}, kLine);
    svg.text({x, area.bottom() + 16}, points.x_texts[k], {Anchor::middle});
  }
  svg.line({area.x, area.bottom()}, {area.right(), area.bottom()}, kSoft);
  svg.text({area.x + area.width / 2, area.bottom() + 33}, points.x_label,
           {Anchor::middle, 12, kInk});
}

}  // namespace

Svg draw(const Points& points) {
  constexpr double kWidth = 640, kHeight = 320, kRadius = 3.5;
  std::vector<LegendEntry> entries;
  for (const PointSeries& series : points.series)
    entries.push_back({series.name, series.color});
  const double top = 40 + legend_height(kWidth - 20, entries);
  const Box area{74, top, kWidth - 74 - 20, kHeight};
  Svg svg(kWidth, area.bottom() + 44, points.title);
  svg.text({10, 20}, points.title, {Anchor::start, 13, kInk, true});
  draw_legend(svg, {10, 30}, kWidth - 20, entries);
  const Axis y = padded_axis(points.y_label, points.y, all(points, &Place::y), true);
  const Axis x = points.x_texts.empty()
                     ? padded_axis(points.x_label, points.x, all(points, &Place::x), true)
                     : Axis(points.x_label, Measure::plain, -0.4,
                            static_cast<double>(points.x_texts.size()) - 0.6);
  draw_left(svg, area, y);
  if (points.x_texts.empty())
    draw_bottom(svg, area, x);
  else
    draw_texts(svg, area, points, x);
  for (const PointSeries& series : points.series) {
    std::vector<Place> places;
    for (const Place& point : series.points)
      places.push_back(
          {area.x + x.share(point.x) * area.width, area.bottom() - y.share(point.y) * area.height});
    if (series.is_joined && places.size() > 1) svg.polyline(places, series.color);
    for (std::size_t p = 0; series.has_points && p < places.size(); ++p) {
      const std::string told = p < series.told.size() ? series.told[p] : "";
      if (series.is_hollow)
        svg.ring(places[p], kRadius, series.color, told);
      else
        svg.circle(places[p], kRadius, series.color, told);
    }
  }
  return svg;
}

}  // namespace rehearse::figures
