#include "tools/rehearse/lost.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/base/text.h"
#include "tools/predict/predict.h"

namespace rehearse::cli {

Result<ScenarioStrategy> strategy_left(const Scenario& scenario, const Arguments& arguments) {
  Result<ScenarioStrategy> strategy = find_strategy(scenario, arguments.get("strategy"));
  const auto lost = arguments.get("lost");
  if (!strategy || !lost) return strategy;
  if (!strategy->spec.subnetwork)
    return error_at(strategy->where,
                    fmt::format("strategy '{}' has no subnetworks: without one of its ranks it "
                                "cannot go on",
                                strategy->spec.name));
  std::vector<std::int64_t>& workers = strategy->spec.subnetwork->lost;
  for (const std::string_view word : split(*lost, ',')) {
    const auto worker = parse_integer(word);
    if (!worker || *worker < 0)
      return error(
          fmt::format("--lost takes numbers of workers, such as 2 or 1,3: not '{}'", *lost));
    workers.push_back(*worker);
  }
  if (workers.empty()) return error("--lost takes numbers of workers, such as 2 or 1,3");
  std::sort(workers.begin(), workers.end());
  workers.erase(std::unique(workers.begin(), workers.end()), workers.end());
  return strategy;
}

}  // namespace rehearse::cli
