// What tells scenarios apart: hashes of what they say, not of how it is written down.
#pragma once

#include <string>

#include "model/scenario/scenario.h"

namespace rehearse::sweep {

// Of a file with its sweep, whose order counts: it numbers the points.
std::string file_hash(const yaml::Value& root);

// Of what a tree says but for its name and its sweep, and of what the files say that it names:
// device profiles (PointReader::profile_hashes()) and, where it could be read, schedules. Equal
// hashes: equal figures.
std::string point_hash(const yaml::Value& tree, const std::string& profile_hashes,
                       const Scenario* scenario);

}  // namespace rehearse::sweep
