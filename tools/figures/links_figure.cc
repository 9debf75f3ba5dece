#include <algorithm>

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

}  // namespace

std::optional<Svg> links_figure(const StrategySummary& predicted) {
  const std::vector<LinkCurve>& curves = predicted.pictures.links;
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
  svg.text({10, 20}, title, {Anchor::start, 13, kInk, true});
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
