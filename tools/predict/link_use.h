// Links over time, by what flows over them in the simulation.
#pragma once

#include <utility>
#include <vector>

#include "model/plan/chrome_trace.h"
#include "tools/predict/predict.h"

namespace rehearse {

// Those that a step of the plan keeps busy for longest, if each byte took what it takes alone; so
// many at most. O(ops + links)
std::vector<LinkId> busiest_links(const Plan& plan, const Cluster& cluster, std::size_t most);

// Bytes per second in shares of the link's bandwidth, from each moment to the next. At most 1, but
// where collectives are played by their price alone and do not make room for one another.
// O(flows log flows)
std::vector<std::pair<Time, double>> utilisation(const std::vector<sim::LinkFlow>& flows,
                                                 LinkId link, BytesPerSecond bandwidth);

// Of the links that the prediction has watched. Of the step that pictures are of, in so many parts.
// cluster: that the plan was played on.
std::vector<LinkCurve> link_curves(const Prediction& prediction, const Cluster& cluster,
                                   std::size_t parts);

// The same of all steps, moment by moment.
std::vector<TraceCounter> link_counters(const Prediction& prediction, const Cluster& cluster);

}  // namespace rehearse
