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
// Units by workers.
std::optional<Svg> assignment_figure(const StrategySummary& predicted);

}  // namespace rehearse::figures
