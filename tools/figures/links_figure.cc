#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/figures/axis.h"
#include "tools/figures/colors.h"
#include "tools/figures/step_figures.h"

namespace rehearse::figures {
namespace {

constexpr double kWidth = 760, kHeight = 200, kLeft = 74;

// Means over equal parts of the step, each from its beginning to its end.
std::vector<Place> places_of(const LinkCurve& curve, double part, const Box& area, const Axis& x,
                             const Axis& y) {
  std::vector<Place> places;
  for (std::size_t p = 0; p < curve.utilisation.size(); ++p) {
    const double height = area.bottom() - y.share(curve.utilisation[p]) * area.height;
    for (const std::size_t edge : {p, p + 1})
      places.push_back({area.x + x.share(part * static_cast<double>(edge)) * area.width, height});
  }
  return places;
}

bool look_alike(const std::vector<double>& a, const std::vector<double>& b) {
  constexpr double kSeen = 0.005;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](double x, double y) { return std::abs(x - y) <= kSeen; });
}

// Curves that nowhere differ by more than can be seen are one, or they would hide one another; the
// page does the same (tools/report/page/curves.js).
std::vector<LinkCurve> distinct(const std::vector<LinkCurve>& curves) {
  std::vector<LinkCurve> groups;
  std::vector<std::size_t> members;
  for (const LinkCurve& curve : curves) {
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const LinkCurve& group) {
      return look_alike(group.utilisation, curve.utilisation);
    });
    if (same == groups.end()) {
      groups.push_back(curve);
      members.push_back(0);
      continue;
    }
    const std::size_t others = ++members[static_cast<std::size_t>(same - groups.begin())];
    const std::string first = same->name.substr(0, same->name.find(" and "));
    same->name = others == 1 ? fmt::format("{} and {}", first, curve.name)
                             : fmt::format("{} and {} alike", first, others);
  }
  return groups;
}

}  // namespace

std::optional<Svg> links_figure(const StrategySummary& predicted) {
  const std::vector<LinkCurve> curves = distinct(predicted.pictures.links);
  if (curves.empty() || curves.front().utilisation.empty()) return std::nullopt;
  double end = 0, most = 1;
  for (const PictureSpan& span : predicted.picture)
    end = std::max(end, span.end.seconds());
  std::vector<LegendEntry> legend;
  for (std::size_t k = 0; k < curves.size(); ++k) {
    legend.push_back({curves[k].name, series_color(k)});
    for (const double share : curves[k].utilisation)
      most = std::max(most, share);
  }
  const std::string title = predicted.strategy + ": the busiest links over the step";
  const Box area{kLeft, 42 + legend_height(kWidth - 20, legend), kWidth - kLeft - 20, kHeight};
  Svg svg(kWidth, area.bottom() + 44, title);
  draw_title(svg, title);
  draw_legend(svg, {10, 30}, kWidth - 20, legend);
  const Axis x("time", Measure::time, 0, end), y("used", Measure::share, 0, most);
  draw_left(svg, area, y);
  draw_bottom(svg, area, x);
  const double part = end / static_cast<double>(curves.front().utilisation.size());
  // The busiest last, above the others.
  for (std::size_t k = curves.size(); k-- > 0;)
    svg.polyline(places_of(curves[k], part, area, x, y), series_color(k), 1.5, curves[k].name);
  return svg;
}

}  // namespace rehearse::figures
