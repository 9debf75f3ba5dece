#include "tools/figures/bars.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace rehearse::figures {

Svg draw(const Bars& bars) {
  constexpr double kWidth = 640, kRow = 24, kBar = 16, kRight = 84;
  const bool has_legend = bars.parts.size() > 1;
  double left = 40, most = 0;
  for (const BarRow& row : bars.rows) {
    left = std::max(left, text_width(row.name) + 16);
    most = std::max(most, std::accumulate(row.values.begin(), row.values.end(), 0.0));
  }
  left = std::min(left, kWidth / 2);
  const double room = kWidth - left - kRight;
  const double top = 34 + (has_legend ? legend_height(kWidth - 20, bars.parts) + 6 : 0);
  const Box area{left, top, room, kRow * static_cast<double>(bars.rows.size())};
  Svg svg(kWidth, area.bottom() + 44, bars.title);
  svg.text({10, 20}, bars.title, {Anchor::start, 13, kInk, true});
  if (has_legend) draw_legend(svg, {10, 32}, kWidth - 20, bars.parts);
  const Axis axis(bars.label, bars.measure, 0, most);
  draw_bottom(svg, area, axis);
  for (std::size_t r = 0; r < bars.rows.size(); ++r) {
    const BarRow& row = bars.rows[r];
    const double y = area.y + kRow * static_cast<double>(r);
    svg.text({left - 8, y + 16}, row.name, {Anchor::end, 11, kInk});
    double begin = 0;
    for (std::size_t p = 0; p < row.values.size(); ++p) {
      const double end = begin + row.values[p];
      if (row.values[p] > 0) {
        svg.rect({area.x + axis.share(begin) * room, y + 4,
                  (axis.share(end) - axis.share(begin)) * room, kBar},
                 bars.parts[p].color,
                 fmt::format("{}, {}: {}", row.name, bars.parts[p].name,
                             human(bars.measure, row.values[p])));
      }
      begin = end;
    }
    svg.text({area.x + axis.share(begin) * room + 6, y + 16}, human(bars.measure, begin));
  }
  return svg;
}

}  // namespace rehearse::figures
