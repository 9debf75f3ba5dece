#include <fmt/format.h>

#include <iostream>

#include "tools/cli/terminal.h"
#include "tools/predict/predict.h"
#include "tools/rehearse/commands.h"
#include "tools/rehearse/lost.h"
#include "tools/summary/assignment.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"SCENARIO"},
          {{"strategy", "NAME", "which strategy (needed if there are several)"},
           {"profile", "FILE", "device profile instead of the scenario's"},
           kLostOption,
           {"draw", "N", "masks that are redrawn: the N-th draw after the first"},
           {"json", "", "print JSON instead of tables"}}};
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at("SCENARIO");
  const Result<Scenario> scenario =
      read_scenario(path, profile_path(path), arguments.get("profile"), arguments.get("strategy"));
  if (!scenario) return fail(scenario.errors());
  Result<ScenarioStrategy> strategy = strategy_left(*scenario, arguments);
  if (!strategy) return fail(strategy.errors());
  if (!strategy->spec.subnetwork) {
    return fail(error_at(strategy->where,
                         fmt::format("strategy '{}' has no subnetworks: every worker holds all",
                                     strategy->spec.name)));
  }
  const Result<std::int64_t> draw = arguments.count("draw", 0, 0);
  if (!draw) {
    fail(draw.errors());
    return kWrongCommandLine;
  }
  if (*draw > 0 && !strategy->spec.subnetwork->redraw)
    return fail(
        error_at(strategy->where, fmt::format("strategy '{}' draws its masks once: there is "
                                              "no 'redraw' for --draw {}",
                                              strategy->spec.name, *draw)));
  strategy->spec.subnetwork->draw = *draw;
  const Result<Plan> plan = plan_of(*scenario, *strategy);
  if (!plan) return fail(plan.errors());
  const Net net = *whole_net(*plan);
  if (net.units.empty()) {
    return fail(error_at(strategy->where,
                         "the model has no unit that a worker could leave out: "
                         "every worker holds all"));
  }
  AssignmentSummary summary = summarize_assignment(*plan, net);
  summary.coverages = coverages_asked(strategy->spec, strategy->mesh);
  if (arguments.has("json")) return std::cout << print_json(summary), kDone;
  print(print_table(summary));
  if (arguments.has("lost")) std::cout << "the columns are the workers that are left, in order\n";
  return kDone;
}

}  // namespace

Command assignment_command() {
  return {"assignment", "print who holds which part of the network, and what it loads on each",
          syntax, run};
}

}  // namespace rehearse::cli
