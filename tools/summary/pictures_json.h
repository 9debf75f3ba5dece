// Pictures as a part of a summary's JSON, and back.
//
// strategy: {"pictures": {critical_path, memory_curves, grids, cables, links_over_time,
// assignment, left_out}}, each
// only where it is there; summary: {"topology": ...}.
#pragma once

#include "tools/summary/json_node.h"
#include "tools/summary/pictures.h"

namespace rehearse {

Json json_of(const StrategyPictures& pictures);
Json json_of(const TopologyPicture& topology);

// Throw WrongJson.
StrategyPictures pictures_of(const JsonNode& node);
TopologyPicture topology_of(const JsonNode& node);

}  // namespace rehearse
