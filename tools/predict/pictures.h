// What the pictures of a prediction are drawn from: made where a summary is written to a file, and
// left out where only its figures count.
#pragma once

#include "tools/predict/predict.h"
#include "tools/predict/topology.h"

namespace rehearse {

// What there is room for in a file, by strategy; what is left out is said by name.
inline constexpr std::size_t kMostCurves = 32, kMostGridCells = 40'000, kMostLinkCurves = 8,
                             kPartsOfLinkCurve = 200;

// Whether all that is sent is in the timeline, and each op is one of the plan's: nothing is folded,
// and no rank stands for others.
bool is_played_whole(const Scenario& scenario);

// Of the prediction's plan and timeline; topology: the scenario's cluster, unless its prices are
// stated.
void add_pictures(const Scenario& scenario, const std::optional<Topology>& topology,
                  Prediction& prediction);

}  // namespace rehearse
