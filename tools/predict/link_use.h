// Links over time, by what a prediction's messages and collectives ask of them (link_loads.h).
#pragma once

#include <vector>

#include "model/plan/chrome_trace.h"
#include "tools/predict/link_loads.h"
#include "tools/predict/predict.h"

namespace rehearse {

// The busiest that a summary has, so many at most.
std::vector<LinkId> busiest_links(const Cluster& cluster, const StrategySummary& summary,
                                  std::size_t most);

// Of the step that pictures are of, in so many parts. cluster: that the plan was played on.
std::vector<LinkCurve> link_curves(const Prediction& prediction, const Cluster& cluster,
                                   const std::vector<LinkId>& links, std::size_t parts);

// Of all steps.
std::vector<TraceCounter> link_counters(const Prediction& prediction, const Cluster& cluster,
                                        const std::vector<LinkId>& links);

}  // namespace rehearse
