#include <fmt/format.h>

#include <iostream>

#include "model/base/text.h"
#include "model/plan/plan_text.h"
#include "model/plan/transition.h"
#include "model/schedule/plan_actions.h"
#include "tools/chakra/chakra.h"
#include "tools/predict/predict.h"
#include "tools/rehearse/commands.h"
#include "tools/rehearse/lost.h"
#include "tools/summary/grid.h"
#include "tools/summary/table.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"SCENARIO"},
          {{"strategy", "NAME", "which strategy (needed if there are several)"},
           {"format",
            "FORMAT",
            "text (the plan, default), grid (steps by ranks), csv (PyTorch's "
            "pipeline schedule) or chakra (traces, one file per rank)",
            {"text", "grid", "csv", "chakra"}},
           {"compute-only", "", "csv without messages"},
           {"between", "", "with local steps: of a step between synchronisations"},
           {"draw", "N", "masks that are redrawn: the N-th draw after the first"},
           {"redraw", "N", "instead: what moves when masks are drawn for the N-th time"},
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

// "weights, moments"
std::string print_content(const StateContent& content) {
  std::vector<std::string> parts;
  for (const auto& [moves, name] :
       {std::pair(content.weights, "weights"), std::pair(content.master, "masters"),
        std::pair(content.moments, "moments"), std::pair(content.outer, "outer state")}) {
    if (moves) parts.push_back(name);
  }
  return join(parts, ", ");
}

// One row per message.
std::string print_moves(const Transition& transition, const Net& net, std::int64_t number) {
  std::vector<std::vector<std::string>> rows = {{"from", "to", "size", "of", "parameters"}};
  for (const StateMove& move : transition.moves) {
    std::vector<std::string> names;
    for (const ParameterId id : move.parameters)
      names.push_back(net.parameters[id.index()].name);
    rows.push_back({std::to_string(move.from.value()), std::to_string(move.to.value()),
                    human(move.size), print_content(move.content), join(names, " ")});
  }
  return fmt::format("redraw {}: {} messages, {}\n{}", number, transition.moves.size(),
                     human(transition.total()),
                     transition.moves.empty() ? "" : align_columns(rows).plain());
}

// What --draw and --redraw say; 0: nothing.
struct DrawOptions {
  std::int64_t draw = 0, redraw = 0;
};
Result<DrawOptions> draw_options(const Arguments& arguments) {
  const Result<std::int64_t> draw = arguments.count("draw", 0, 0);
  if (!draw) return draw.errors();
  const Result<std::int64_t> redraw = arguments.count("redraw", 0, 1);
  if (!redraw) return redraw.errors();
  for (const char* other : {"draw", "format", "compute-only", "between"}) {
    if (*redraw > 0 && arguments.has(other))
      return error(
          fmt::format("--redraw prints what moves, no plan: --{} does not go with it", other));
  }
  return DrawOptions{*draw, *redraw};
}

// Errors: masks are drawn once.
Status set_draw(const DrawOptions& options, ScenarioStrategy& strategy) {
  if (options.draw == 0 && options.redraw == 0) return success();
  if (!strategy.spec.subnetwork || !strategy.spec.subnetwork->redraw) {
    return error_at(strategy.where,
                    fmt::format("strategy '{}' draws no masks anew: there is no 'redraw' for --{}",
                                strategy.spec.name, options.draw > 0 ? "draw" : "redraw"));
  }
  strategy.spec.subnetwork->draw = options.redraw > 0 ? options.redraw : options.draw;
  return success();
}

Result<std::string> print_redraw(const Scenario& scenario, ScenarioStrategy strategy,
                                 std::int64_t number) {
  const Result<Plan> after = plan_of(scenario, strategy);
  if (!after) return after.errors();
  --strategy.spec.subnetwork->draw;
  const Result<Plan> before = plan_of(scenario, strategy);
  if (!before) return before.errors();
  const Net net = *whole_net(*after);
  return print_moves(transition_between(*before, *after, net, strategy.spec.subnetwork->moments),
                     net, number);
}

// On stdout, or in the file that --out names.
int put_out(const Arguments& arguments, const std::string& text) {
  const auto out = arguments.get("out");
  if (!out) return std::cout << text, kDone;
  const Status written = write_file(*out, text);
  return written ? kDone : fail(written.errors());
}

int run(const Arguments& arguments) {
  const std::string& path = arguments.at("SCENARIO");
  const std::string format = arguments.get("format").value_or("text");
  if (arguments.has("compute-only") && format != "csv") {
    fail(error("--compute-only is for --format csv"));
    return kWrongCommandLine;
  }
  const Result<DrawOptions> draws = draw_options(arguments);
  if (!draws) return fail(draws.errors()), kWrongCommandLine;
  const Result<Scenario> scenario =
      read_scenario(path, profile_path(path), arguments.get("profile"), arguments.get("strategy"));
  if (!scenario) return fail(scenario.errors());
  Result<ScenarioStrategy> strategy = strategy_left(*scenario, arguments);
  if (!strategy) return fail(strategy.errors());
  if (arguments.has("between")) {
    if (strategy->spec.local_steps == 1)
      return fail(error(fmt::format("strategy '{}' has no local steps: all its steps are alike",
                                    strategy->spec.name)));
    strategy->spec.synchronises = false;
  }
  const Status drawn = set_draw(*draws, *strategy);
  if (!drawn) return fail(drawn.errors());
  const Status can_write = format == "chakra" ? success() : check_out(arguments);
  if (!can_write) return fail(can_write.errors());
  if (draws->redraw > 0) {
    const Result<std::string> moves = print_redraw(*scenario, *strategy, draws->redraw);
    return moves ? put_out(arguments, *moves) : fail(moves.errors());
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
  return put_out(arguments, formatted(*plan, format, arguments.has("compute-only")));
}

}  // namespace

Command plan_command() {
  return {"plan", "print a strategy's plan, its picture, or what other tools read", syntax, run};
}

}  // namespace rehearse::cli
