#include "model/scenario/sections.h"

namespace rehearse::yaml {
namespace {

// One time for all stages, or a list with one for each.
std::optional<std::vector<Seconds>> read_times(const Value& value, Problems& problems) {
  std::vector<Seconds> times;
  if (value.kind != Kind::list) {
    const auto time = read_seconds(value, problems);
    return time ? std::optional(std::vector<Seconds>{*time}) : std::nullopt;
  }
  for (const Value& item : value.items) {
    const auto time = read_seconds(item, problems);
    if (!time) return std::nullopt;
    times.push_back(*time);
  }
  if (times.empty())
    return expected("a time such as '18.5 ms', or one per stage", value, problems), std::nullopt;
  return times;
}

}  // namespace

std::optional<StatedPrices> read_prices(Map& scenario) {
  const Value* value = scenario.find("prices");
  if (value == nullptr) return std::nullopt;
  Problems& problems = scenario.problems();
  for (const char* other : {"model", "training", "cluster"}) {
    if (scenario.find(other) == nullptr) continue;
    problems.add(scenario.where(other),
                 fmt::format("with stated prices there is no '{}': schedules are played by these "
                             "times alone",
                             other),
                 {{scenario.where("prices"), "the prices are here"}});
  }
  StatedPrices prices;
  Map map(*value, section("prices"), scenario.where("prices"), problems);
  read_needed(map, "forward", prices.forward, read_times);
  read_needed(map, "input_gradient", prices.backward_input, read_times);
  read_needed(map, "weight_gradient", prices.backward_weight, read_times);
  read(map, "transfer", prices.transfer);
  map.finish();
  return prices;
}

}  // namespace rehearse::yaml
