#include <iostream>

#include "tools/cli/terminal.h"
#include "tools/predict/compare.h"
#include "tools/predict/pictures.h"
#include "tools/rehearse/commands.h"
#include "tools/rehearse/scenario_argument.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"SCENARIO"},
          simulation_options({{"json", "", "print JSON instead of a table"},
                              {"out", "FILE", "write the JSON to this file, too"}})};
}

int run(const Arguments& arguments) {
  const auto read = read_simulated(arguments);
  if (const int* code = std::get_if<int>(&read)) return *code;
  const auto& [scenario, strategies] = std::get<Simulated>(read);
  const Status can_write = check_out(arguments);
  if (!can_write) return fail(can_write.errors());
  Summary summary{scenario.name,
                  "predicted",
                  scenario.prices ? "stated prices" : scenario.cluster.device.name,
                  {}};
  const bool is_drawn = arguments.has("json") || arguments.has("out");
  std::optional<Topology> topology;
  for (const ScenarioStrategy& strategy : strategies) {
    Result<Prediction> prediction = predict(scenario, strategy, is_drawn ? kMostLinkCurves : 0);
    if (!prediction) return fail(prediction.errors());
    if (is_drawn && !scenario.prices && !topology)
      topology.emplace(Cluster::build(scenario.cluster).value());
    if (is_drawn) add_pictures(scenario, topology, *prediction);
    summary.strategies.push_back(std::move(prediction->summary));
  }
  if (topology && !topology->picture().cables.empty()) summary.topology = topology->picture();
  if (!scenario.prices) compare(scenario.cluster, summary);
  print(arguments.has("json") ? StyledText(print_json(summary)) : print_table(summary));
  if (const auto out = arguments.get("out")) {
    const Status written = write_file(*out, print_json(summary));
    if (!written) return fail(written.errors());
  }
  return kDone;
}

}  // namespace

Command simulate_command() {
  return {"simulate", "predict time, memory and bytes of a scenario's strategies", syntax, run};
}

}  // namespace rehearse::cli
