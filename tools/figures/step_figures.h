// Pictures of one strategy's step.
#pragma once

#include <optional>
#include <string>

#include "tools/figures/svg.h"
#include "tools/summary/summary.h"

namespace rehearse::figures {

// Predicted over measured, over one axis; the first lanes of many. None: neither has a timeline.
std::optional<Svg> timeline_figure(const std::string& name, const StrategySummary* predicted,
                                   const StrategySummary* measured);
// Of the rank with the largest peak.
std::optional<Svg> memory_figure(const StrategySummary& predicted);
std::optional<Svg> grid_figure(const StrategySummary& predicted);
// The busiest links over the step.
std::optional<Svg> links_figure(const StrategySummary& predicted);
// The machine, its cables by what they carry in this strategy's step; topology: null if not known.
std::optional<Svg> topology_figure(const StrategySummary& predicted,
                                   const TopologyPicture* topology);
// Units by workers.
std::optional<Svg> assignment_figure(const StrategySummary& predicted);

}  // namespace rehearse::figures
