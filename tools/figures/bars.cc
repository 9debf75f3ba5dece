#include "tools/figures/bars.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace rehearse::figures {

namespace {

constexpr double kWidth = 640, kRow = 24, kBar = 16;

double end_of(const BarRow& row) {
  const double sum = std::accumulate(row.values.begin(), row.values.end(), 0.0);
  return row.band ? std::max(sum, row.band->high) : sum;
}

std::string text_of(const Bars& bars, const BarRow& row) {
  const double sum = std::accumulate(row.values.begin(), row.values.end(), 0.0);
  if (!row.band) return human(bars.measure, sum);
  return fmt::format("{} ({} to {})", human(bars.measure, sum), human(bars.measure, row.band->low),
                     human(bars.measure, row.band->high));
}

// From the low to the high end, with an end to it on each side.
void draw_band(Svg& svg, const Box& area, double middle, const BarRow& row, const Axis& axis) {
  const double low = area.x + axis.share(row.band->low) * area.width,
               high = area.x + axis.share(row.band->high) * area.width;
  svg.line({low, middle}, {high, middle}, kInk, 1.5);
  for (const double x : {low, high})
    svg.line({x, middle - 4}, {x, middle + 4}, kInk, 1.5);
}

void draw_row(Svg& svg, const Box& area, double y, const Bars& bars, const BarRow& row,
              const Axis& axis) {
  svg.text({area.x - 8, y + 16}, shortened(row.name, area.x - 12), {Anchor::end, 11, kInk});
  double begin = 0;
  for (std::size_t p = 0; p < row.values.size(); ++p) {
    const double end = begin + row.values[p];
    if (row.values[p] > 0) {
      svg.rect({area.x + axis.share(begin) * area.width, y + 4,
                (axis.share(end) - axis.share(begin)) * area.width, kBar},
               bars.parts[p].color,
               fmt::format("{}, {}: {}", row.name, bars.parts[p].name,
                           human(bars.measure, row.values[p])));
    }
    begin = end;
  }
  if (row.band) draw_band(svg, area, y + 4 + kBar / 2, row, axis);
  svg.text({area.x + axis.share(end_of(row)) * area.width + 6, y + 16}, text_of(bars, row));
}

}  // namespace

Svg draw(const Bars& bars) {
  const bool has_legend = bars.parts.size() > 1;
  double left = 40, right = 16, most = bars.limit ? bars.limit->value : 0;
  for (const BarRow& row : bars.rows) {
    left = std::max(left, text_width(row.name) + 16);
    right = std::max(right, text_width(text_of(bars, row)) + 12);
    most = std::max(most, end_of(row));
  }
  left = std::min(left, kWidth / 2);
  const double top =
      34 + (has_legend ? legend_height(kWidth - 20, bars.parts) + 6 : 0) + (bars.limit ? 14 : 0);
  const Box area{left, top, std::max(kWidth - left - right, 160.0),
                 kRow * static_cast<double>(bars.rows.size())};
  Svg svg(std::max(kWidth, area.right() + right), area.bottom() + 44, bars.title);
  draw_title(svg, bars.title);
  if (has_legend) draw_legend(svg, {10, 32}, kWidth - 20, bars.parts);
  const Axis axis(bars.label, bars.measure, 0, most);
  draw_bottom(svg, area, axis);
  for (std::size_t r = 0; r < bars.rows.size(); ++r)
    draw_row(svg, area, area.y + kRow * static_cast<double>(r), bars, bars.rows[r], axis);
  if (bars.limit) {
    const double x = area.x + axis.share(bars.limit->value) * area.width;
    svg.line({x, area.y - 2}, {x, area.bottom()}, kInk, 1, true);
    const double half = text_width(bars.limit->text) / 2;
    svg.text({std::min(x, svg.width() - half - 6), area.y - 6}, bars.limit->text,
             {Anchor::middle, 11, kInk});
  }
  return svg;
}

}  // namespace rehearse::figures
