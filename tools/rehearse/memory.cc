#include <iostream>

#include "tools/cli/terminal.h"
#include "tools/predict/memory_report.h"
#include "tools/rehearse/commands.h"
#include "tools/rehearse/scenario_argument.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"SCENARIO"},
          simulation_options({{"json", "",
                               "print JSON, with the memory at every op, "
                               "instead of tables"}})};
}

int run(const Arguments& arguments) {
  const auto read = read_simulated(arguments);
  if (const int* code = std::get_if<int>(&read)) return *code;
  const auto& [scenario, strategies] = std::get<Simulated>(read);
  std::vector<MemoryReport> reports;
  for (const ScenarioStrategy& strategy : strategies) {
    Result<MemoryReport> report = memory_report(scenario, strategy);
    if (!report) return fail(report.errors());
    reports.push_back(*std::move(report));
    if (arguments.has("json")) continue;
    print(StyledText(reports.size() > 1 ? "\n" : "") + print_table(reports.back()));
  }
  if (arguments.has("json")) std::cout << print_json(scenario.name, reports);
  return kDone;
}

}  // namespace

Command memory_command() {
  return {"memory", "show where a strategy's memory goes, when, and what would make it fit", syntax,
          run};
}

}  // namespace rehearse::cli
