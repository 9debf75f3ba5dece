#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tools/figures/axis.h"
#include "tools/figures/colors.h"
#include "tools/figures/step_figures.h"

namespace rehearse::figures {
namespace {

constexpr double kRow = 18, kLeft = 64;

std::size_t columns_of(const Grid& grid) {
  std::size_t columns = 0;
  for (const auto& row : grid.rows)
    columns = std::max(columns, row.size());
  return columns;
}

// Of the passes that there are.
std::vector<LegendEntry> legend_of(const std::vector<Grid>& grids) {
  std::set<char> letters;
  for (const Grid& grid : grids) {
    for (const auto& row : grid.rows) {
      for (const std::string& cell : row)
        letters.insert(cell.front());
    }
  }
  std::vector<LegendEntry> legend;
  for (const auto& [letter, name] :
       {std::pair('F', "forward"), std::pair('B', "backward"), std::pair('I', "input gradients"),
        std::pair('W', "weight gradients")}) {
    if (letters.contains(letter)) legend.push_back({name, color_of_pass(letter)});
  }
  return legend;
}

void draw_grid(Svg& svg, double top, const Grid& grid, double cell) {
  for (std::size_t r = 0; r < grid.rows.size(); ++r) {
    const auto& row = grid.rows[r];
    const double y = top + kRow * static_cast<double>(r);
    svg.text({10, y + 13}, fmt::format("rank {}", grid.ranks[r].value()));
    for (std::size_t c = 0; c < row.size(); ++c) {
      const std::string color = color_of_pass(row[c].front());
      if (color.empty()) continue;
      const double wide = c + 1 < row.size() && row[c + 1] == "=" ? 2 * cell : cell;
      const double x = kLeft + cell * static_cast<double>(c);
      svg.rect({x, y + 1, wide - 0.5, kRow - 2}, color, row[c]);
      const std::string text = row[c].substr(1);
      if (text_width(text, 9) <= wide + 2)
        svg.text({x + wide / 2, y + 13}, text, {Anchor::middle, 9, "#10161d"});
    }
  }
}

}  // namespace

std::optional<Svg> grid_figure(const StrategySummary& predicted) {
  const std::vector<Grid>& grids = predicted.pictures.grids;
  if (grids.empty()) return std::nullopt;
  std::size_t columns = 1;
  double height = 56;
  for (const Grid& grid : grids) {
    columns = std::max(columns, columns_of(grid));
    height += kRow * static_cast<double>(grid.rows.size()) + 10;
  }
  const double cell = std::clamp(1200 / static_cast<double>(columns), 4.0, 22.0);
  const double width = std::max(420.0, kLeft + cell * static_cast<double>(columns) + 12);
  const std::string title = predicted.strategy + ": grid of the pipeline";
  Svg svg(width, height, title);
  draw_title(svg, title);
  draw_legend(svg, {10, 30}, width - 20, legend_of(grids));
  double top = 56;
  for (const Grid& grid : grids) {
    draw_grid(svg, top, grid, cell);
    top += kRow * static_cast<double>(grid.rows.size()) + 10;
  }
  return svg;
}

}  // namespace rehearse::figures
