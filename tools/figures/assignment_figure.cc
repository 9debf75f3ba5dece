#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/figures/axis.h"
#include "tools/figures/colors.h"
#include "tools/figures/step_figures.h"

namespace rehearse::figures {
namespace {

constexpr double kRow = 16;

void draw_unit(Svg& svg, Place at, double cell, std::int64_t workers,
               const SubnetworkSummary::UnitHolders& unit) {
  svg.text({at.x - 8, at.y + 12}, unit.name, {Anchor::end});
  for (std::int64_t w = 0; w < workers; ++w) {
    const bool is_held = std::binary_search(unit.workers.begin(), unit.workers.end(), w);
    const Box box{at.x + cell * static_cast<double>(w), at.y + 1, cell - 1, kRow - 2};
    svg.rect(box, is_held ? color_of(OpKind::forward) : kIdle,
             fmt::format("{}, worker {}: {}", unit.name, w, is_held ? "held" : "left out"));
    if (unit.parked == w) svg.outline(box, color_of(OpKind::send), 2);
  }
  svg.text({at.x + cell * static_cast<double>(workers) + 8, at.y + 12},
           fmt::format("{}", unit.workers.size()));
}

}  // namespace

std::optional<Svg> assignment_figure(const StrategySummary& predicted) {
  if (!predicted.subnetwork || predicted.subnetwork->units.empty()) return std::nullopt;
  const SubnetworkSummary& subnetwork = *predicted.subnetwork;
  double left = 90;
  for (const auto& unit : subnetwork.units)
    left = std::max(left, text_width(unit.name) + 20);
  const auto workers = static_cast<double>(subnetwork.workers);
  const double cell = std::clamp(900 / workers, 9.0, 26.0), top = 74;
  const double bottom = top + kRow * static_cast<double>(subnetwork.units.size());
  const double width = std::max(440.0, left + cell * workers + 80);
  const std::string title = predicted.strategy + ": who holds what";
  Svg svg(width, bottom + 42, title);
  draw_title(svg, title);
  draw_legend(svg, {10, 30}, width - 20,
              {{"held", color_of(OpKind::forward)}, {"left out", kIdle}});
  svg.text({left + cell * workers + 8, top - 6}, "holders");
  svg.text({left - 8, top - 6}, "worker", {Anchor::end});
  // As many numbers as there is room for.
  const double widest = text_width(fmt::format("{}", subnetwork.workers - 1)) + 4;
  const auto apart = static_cast<std::int64_t>(std::ceil(widest / cell));
  for (std::int64_t w = 0; w < subnetwork.workers; w += apart)
    svg.text({left + cell * (static_cast<double>(w) + 0.5), top - 6}, fmt::format("{}", w),
             {Anchor::middle});
  for (std::size_t u = 0; u < subnetwork.units.size(); ++u)
    draw_unit(svg, {left, top + kRow * static_cast<double>(u)}, cell, subnetwork.workers,
              subnetwork.units[u]);
  svg.text({left - 8, bottom + 14}, "units held", {Anchor::end});
  for (std::int64_t w = 0; w < subnetwork.workers; ++w) {
    const auto load =
        std::count_if(subnetwork.units.begin(), subnetwork.units.end(), [&](const auto& unit) {
          return std::binary_search(unit.workers.begin(), unit.workers.end(), w);
        });
    if (w % apart == 0)
      svg.text({left + cell * (static_cast<double>(w) + 0.5), bottom + 14}, fmt::format("{}", load),
               {Anchor::middle});
  }
  if (const auto& summary = predicted.pictures.assignment)
    svg.text({10, bottom + 34}, fmt::format("spectral gap {:.4f}", summary->spectral_gap));
  return svg;
}

}  // namespace rehearse::figures
