// What the pictures of a prediction are drawn from: made where a summary is written to a file, and
// left out where only its figures count.
#pragma once

#include "tools/predict/predict.h"
#include "tools/predict/topology.h"

namespace rehearse {

// What there is room for in a file, by strategy; what is left out is said by name.
inline constexpr std::size_t kMostCurves = 32, kMostGridCells = 40'000, kMostLinkCurves = 8,
                             kPartsOfLinkCurve = 200;

// Of the prediction's plan and timeline, and of the links that it was watched on: kMostLinkCurves
// of them. topology: the scenario's cluster, unless its prices are stated.
void add_pictures(const Scenario& scenario, const std::optional<Topology>& topology,
                  Prediction& prediction);

}  // namespace rehearse
