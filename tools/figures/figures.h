// The report's pictures as files for papers: SVG, and PNG of the same. The same results give the
// same SVG, byte for byte.
#pragma once

#include <string>
#include <vector>

#include "tools/figures/svg.h"
#include "tools/report/report.h"

namespace rehearse::figures {

struct Figure {
  std::string name;  // of its file, without an ending: letters, digits, - and _
  Svg picture;
};

// Of strategies: step_time, memory, bytes_sent, critical_path, pareto (of predictions); of each
// strategy NAME_timeline, NAME_memory_over_time, NAME_links_over_time, NAME_topology, NAME_grid,
// NAME_assignment, as far as there is something to draw.
std::vector<Figure> figures_of(const std::vector<Summary>& summaries);
// Of a sweep: sweep_pareto, sweep_over_AXIS for each axis, and sweep_heat of the first two, as far
// as rows have figures for them.
std::vector<Figure> figures_of(const SweptRows& swept);

// Each as NAME.svg or NAME.png in the folder, which is made. PNG: 192 pixels an inch.
Status write_svg(const std::vector<Figure>& figures, const std::string& folder);
Status write_png(const std::vector<Figure>& figures, const std::string& folder);

}  // namespace rehearse::figures
