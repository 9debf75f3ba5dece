#include <iostream>

#include "tools/predict/link_use.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

constexpr std::size_t kMostLinks = 64;

Syntax syntax() {
  return {{"SCENARIO"},
          {{"strategy", "NAME", "which strategy (needed if there are several)"},
           {"profile", "FILE", "device profile instead of the scenario's"},
           {"out", "FILE", "write the trace to this file instead of stdout"}}};
}

// Bytes of the ranks and use of the busiest links, as far as the timeline has them.
std::vector<TraceCounter> counters_of(const Scenario& scenario, const Prediction& prediction) {
  // Tensors that stated prices stand for have no size.
  if (scenario.prices) return {};
  std::vector<TraceCounter> counters;
  if (scenario.simulation.detail != Detail::block) {
    std::vector<Bytes> beside;
    for (const RankSummary& rank : prediction.summary.ranks)
      beside.push_back(rank.memory->peak - rank.memory->arena);
    counters = memory_counters(prediction.plan, prediction.timeline, beside);
  }
  const Cluster cluster = Cluster::build(scenario.cluster).value();
  for (TraceCounter& counter : link_counters(prediction, cluster))
    counters.push_back(std::move(counter));
  return counters;
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at("SCENARIO");
  const Result<Scenario> scenario =
      read_scenario(path, profile_path(path), arguments.get("profile"), arguments.get("strategy"));
  if (!scenario) return fail(scenario.errors());
  const Result<ScenarioStrategy> strategy = find_strategy(*scenario, arguments.get("strategy"));
  if (!strategy) return fail(strategy.errors());
  const Status can_write = check_out(arguments);
  if (!can_write) return fail(can_write.errors());
  const Result<Prediction> prediction = predict(*scenario, *strategy, kMostLinks);
  if (!prediction) return fail(prediction.errors());
  const std::string trace = chrome_trace(prediction->plan, {{"predicted", &prediction->timeline}},
                                         counters_of(*scenario, *prediction));
  const auto out = arguments.get("out");
  if (!out) return std::cout << trace, kDone;
  const Status written = write_file(*out, trace);
  return written ? kDone : fail(written.errors());
}

}  // namespace

Command trace_command() {
  return {"trace", "write a predicted timeline for Perfetto or chrome://tracing", syntax, run};
}

}  // namespace rehearse::cli
