#include <fmt/format.h>

#include <iostream>

#include "model/plan/plan_text.h"
#include "model/schedule/plan_actions.h"
#include "tools/chakra/chakra.h"
#include "tools/predict/predict.h"
#include "tools/rehearse/commands.h"
#include "tools/rehearse/lost.h"
#include "tools/summary/grid.h"

namespace rehearse::cli {
namespace {

constexpr std::string_view kFormats = "text, grid, csv or chakra";

Syntax syntax() {
  return {{"SCENARIO"},
          {{"strategy", "NAME", "which strategy (needed if there are several)"},
           {"format", "FORMAT",
            "text (the plan, default), grid (steps by ranks), csv (PyTorch's "
            "pipeline schedule) or chakra (traces, one file per rank)"},
           {"compute-only", "", "csv without messages"},
           {"between", "", "with local steps: of a step between synchronisations"},
           kLostOption,
           {"profile", "FILE",
            "device profile instead of the scenario's: stages are cut by its prices"},
           {"out", "FILE", "write to this file instead of stdout; chakra: to this directory"}}};
}

// format: one of those that are texts.
std::string formatted(const Plan& plan, const std::string& format, bool compute_only) {
  if (format == "text") return print(plan);
  if (format == "grid") return print_grid(plan);
  const ScheduleTable table = schedule_of(plan);
  return print_schedule_csv(compute_only ? without_messages(table) : table);
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at("SCENARIO");
  const std::string format = arguments.get("format").value_or("text");
  if (format != "text" && format != "grid" && format != "csv" && format != "chakra") {
    fail(error(fmt::format("--format is {}, not '{}'", kFormats, format)));
    return kWrongCommandLine;
  }
  if (arguments.has("compute-only") && format != "csv") {
    fail(error("--compute-only is for --format csv"));
    return kWrongCommandLine;
  }
  const Result<Scenario> scenario =
      read_scenario(path, profile_path(path), arguments.get("profile"));
  if (!scenario) return fail(scenario.errors());
  Result<ScenarioStrategy> strategy = strategy_left(*scenario, arguments);
  if (!strategy) return fail(strategy.errors());
  if (arguments.has("between")) {
    if (strategy->spec.local_steps == 1)
      return fail(error(fmt::format("strategy '{}' has no local steps: all its steps are alike",
                                    strategy->spec.name)));
    strategy->spec.synchronises = false;
  }
  const Result<Plan> plan = plan_of(*scenario, *strategy);
  if (!plan) return fail(plan.errors());
  const auto out = arguments.get("out");
  if (format == "chakra") {
    if (!out) return fail(error("chakra traces are files: say where with --out DIRECTORY"));
    const Prices prices = prices_of(*scenario, *plan);
    const Status written = write_chakra(*plan, *out, &prices);
    return written ? kDone : fail(written.errors());
  }
  const std::string text = formatted(*plan, format, arguments.has("compute-only"));
  if (!out) return std::cout << text, kDone;
  const Status written = write_file(*out, text);
  return written ? kDone : fail(written.errors());
}

}  // namespace

Command plan_command() {
  return {"plan", "print a strategy's plan, its picture, or what other tools read", syntax, run};
}

}  // namespace rehearse::cli
