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
  const double room = area.width / static_cast<double>(points.x_texts.size()) - 4;
  for (std::size_t k = 0; k < points.x_texts.size(); ++k) {
    const double x = area.x + axis.share(static_cast<double>(k)) * area.width;
    svg.line({x, area.y}, {x, area.bottom() + 4}, kLine);
    svg.text({x, area.bottom() + 16}, shortened(points.x_texts[k], std::max(room, 24.0)),
             {Anchor::middle});
  }
  svg.line({area.x, area.bottom()}, {area.right(), area.bottom()}, kSoft);
  svg.text({area.x + area.width / 2, area.bottom() + 33}, points.x_label,
           {Anchor::middle, 12, kInk});
}

// Between neighbours: of texts, a line does not cross those that have no point.
void draw_lines(Svg& svg, const Points& points, const PointSeries& series,
                const std::vector<Place>& places) {
  std::vector<Place> line;
  for (std::size_t p = 0; p < places.size(); ++p) {
    const bool is_apart =
        p > 0 && !points.x_texts.empty() && series.points[p].x > series.points[p - 1].x + 1;
    if (is_apart && line.size() > 1) svg.polyline(line, series.color);
    if (is_apart) line.clear();
    line.push_back(places[p]);
  }
  if (line.size() > 1) svg.polyline(line, series.color);
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
  draw_title(svg, points.title);
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
    if (series.is_joined) draw_lines(svg, points, series, places);
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

std::vector<Place> front_of(std::vector<Place> places, bool more_is_better) {
  std::sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
    if (a.x != b.x) return more_is_better ? a.x > b.x : a.x < b.x;
    return a.y < b.y;
  });
  std::vector<Place> front;
  for (const Place& place : places) {
    if (front.empty() || place.y < front.back().y) front.push_back(place);
  }
  return front;
}

}  // namespace rehearse::figures
