#include <fmt/format.h>

#include <algorithm>

#include "model/base/text.h"
#include "tools/figures/axis.h"
#include "tools/figures/colors.h"
#include "tools/figures/step_figures.h"
#include "tools/figures/words.h"

namespace rehearse::figures {
namespace {

std::string name_of(BufferKind kind) {
  if (kind == BufferKind::value) return "values between blocks";
  if (kind == BufferKind::gradient) return "their gradients";
  if (kind == BufferKind::saved) return "saved for backward";
  return words_of(to_string(kind));
}

// Places along the top of the k-th layer, from the left to the right, in steps.
std::vector<Place> top_of(const CurvePicture& curve, std::size_t layers, double end,
                          const Box& area, const Axis& x, const Axis& y) {
  std::vector<Place> places;
  for (std::size_t p = 0; p < curve.points.size(); ++p) {
    const CurvePicture::Point& point = curve.points[p];
    const double until = p + 1 < curve.points.size() ? curve.points[p + 1].time.seconds() : end;
    Bytes sum;
    for (std::size_t k = 0; k < layers; ++k)
      sum += point.alive[k];
    const double height = area.bottom() - y.share(static_cast<double>(sum.bytes())) * area.height;
    places.push_back({area.x + x.share(point.time.seconds()) * area.width, height});
    places.push_back({area.x + x.share(until) * area.width, height});
  }
  return places;
}

void draw_layers(Svg& svg, const CurvePicture& curve, double end, const Box& area, const Axis& x,
                 const Axis& y) {
  std::vector<Place> below = top_of(curve, 0, end, area, x, y);
  for (std::size_t k = 0; k < curve.kinds.size(); ++k) {
    std::vector<Place> above = top_of(curve, k + 1, end, area, x, y);
    std::vector<Place> around = above;
    around.insert(around.end(), below.rbegin(), below.rend());
    Bytes most;
    for (const CurvePicture::Point& point : curve.points)
      most = std::max(most, point.alive[k]);
    if (most > Bytes{})
      svg.polygon(around, color_of(curve.kinds[k]),
                  fmt::format("{}: {} at most", name_of(curve.kinds[k]), rehearse::human(most)));
    below = std::move(above);
  }
}

// Above the area, so that no layer is behind them: what the dashed line and the mark are.
void draw_labels(Svg& svg, const Box& area, const Place& peak, const CurvePicture& curve) {
  const std::string arena = "arena as laid out: " + rehearse::human(curve.arena),
                    most = "most alive: " + rehearse::human(curve.peak.size);
  const double y = area.y - 8, end = area.x + text_width(arena) + 30;
  svg.line({area.x, y - 4}, {area.x + 22, y - 4}, kInk, 1, true);
  svg.text({area.x + 28, y}, arena, {Anchor::start, 11, kInk});
  // Over its place, as far as there is room.
  const double half = text_width(most) / 2 + 8;
  const double x = std::clamp(peak.x, end + half + 20, area.right() - half);
  svg.circle({x - half, y - 4}, 3, kPath);
  svg.text({x - half + 7, y}, most, {Anchor::start, 11, kInk});
}

}  // namespace

std::optional<Svg> memory_figure(const StrategySummary& predicted) {
  const std::vector<CurvePicture>& curves = predicted.pictures.memory;
  if (curves.empty()) return std::nullopt;
  const CurvePicture& curve = *std::max_element(curves.begin(), curves.end(),
                                                [](const CurvePicture& a, const CurvePicture& b) {
                                                  return a.arena + a.beside < b.arena + b.beside;
                                                });
  constexpr double kWidth = 760, kHeight = 240, kLeft = 74;
  std::vector<LegendEntry> legend;
  for (const BufferKind kind : curve.kinds)
    legend.push_back({name_of(kind), color_of(kind)});
  double end = curve.points.back().time.seconds();
  for (const PictureSpan& span : predicted.picture)
    end = std::max(end, span.end.seconds());
  const std::string title =
      fmt::format("{}: memory of rank {} over the step", predicted.strategy, curve.rank);
  const Box area{kLeft, 60 + legend_height(kWidth - 20, legend), kWidth - kLeft - 20, kHeight};
  Svg svg(kWidth, area.bottom() + 44, title);
  draw_title(svg, title);
  draw_legend(svg, {10, 30}, kWidth - 20, legend);
  const Axis x("time", Measure::time, 0, end);
  const Axis y("alive in the arena", Measure::bytes, 0,
               1.08 * static_cast<double>(std::max(curve.arena, curve.peak.size).bytes()));
  draw_left(svg, area, y);
  draw_bottom(svg, area, x);
  draw_layers(svg, curve, end, area, x, y);
  const double arena =
      area.bottom() - y.share(static_cast<double>(curve.arena.bytes())) * area.height;
  svg.line({area.x, arena}, {area.right(), arena}, kInk, 1, true);
  const Place peak{
      area.x + x.share(curve.peak.time.seconds()) * area.width,
      area.bottom() - y.share(static_cast<double>(curve.peak.size.bytes())) * area.height};
  svg.line({peak.x, peak.y}, {peak.x, area.bottom()}, kPath);
  svg.circle(peak, 3, kPath, "most alive: " + curve.peak.op);
  draw_labels(svg, area, peak, curve);
  return svg;
}

}  // namespace rehearse::figures
