// Every way of splitting that there is, for people: a name, a line of help, and how to ask for it
// in a scenario. Axes compose: keys of several rows in one entry.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rehearse {

struct StrategyRow {
  std::string name, help;
  std::string example;  // keys of a strategy entry, without its name; for kExampleDevices
};

inline constexpr int kExampleDevices = 8;

// Axes and what is set along them, in the order of the axes; then the pipeline schedules
// (pipeline.h), sorted by name.
const std::vector<StrategyRow>& strategy_rows();

}  // namespace rehearse
