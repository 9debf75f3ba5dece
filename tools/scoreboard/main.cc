// Predictions held against published measurements.
#include <fmt/format.h>

#include <iostream>

#include "tools/cli/cli.h"
#include "tools/scoreboard/bands.h"
#include "tools/scoreboard/score.h"

namespace rehearse::cli {
namespace {

Syntax table_syntax() {
  return {{"DIRECTORY"},
          {{"source", "NAME", "of this source only (its constants are those of the profile)"},
           {"rows", "", "print every row, too"},
           {"bands", "", "print how far off predictions are, and how many bands hold it, too"},
           {"fits", "", "print what the fitted rows ask of the profiles' constants, too"}}};
}

Result<std::vector<Case>> cases_of(const Arguments& arguments) {
  Result<std::vector<Case>> cases = read_cases(arguments.at("DIRECTORY"));
  if (!cases) return cases;
  if (const auto source = arguments.get("source")) {
    std::erase_if(*cases, [&](const Case& one) { return one.source != *source; });
    if (cases->empty()) return error(fmt::format("there is no source '{}'", *source));
  }
  return cases;
}

int table(const Arguments& arguments) {
  const Result<std::vector<Case>> cases = cases_of(arguments);
  if (!cases) return fail(cases.errors());
  Result<Scoreboard> board = score(*cases);
  if (!board) return fail(board.errors());
  // Of one source there are no others that constants could be fitted to.
  board->has_others = !arguments.has("source");
  std::cout << print_sources(*board);
  if (arguments.has("fits")) std::cout << "\n" << print_fits(*board);
  if (arguments.has("bands")) {
    const Result<std::vector<Residual>> residuals = residuals_of(*board);
    if (!residuals) return fail(residuals.errors());
    std::cout << "\n" << print(bands_of(*board, *residuals));
  }
  if (arguments.has("rows")) std::cout << "\n" << print_rows(*board);
  return kDone;
}

Syntax scenario_syntax() {
  return {{"DIRECTORY", "ROW"}, {}};
}

int scenario(const Arguments& arguments) {
  const Result<std::vector<Case>> cases = read_cases(arguments.at("DIRECTORY"));
  if (!cases) return fail(cases.errors());
  for (const Case& one : *cases) {
    if (one.source + " " + one.name != arguments.at("ROW") || one.scenario.empty()) continue;
    std::cout << one.scenario;
    return kDone;
  }
  return fail(
      error(fmt::format("there is no training '{}': a source and a row's name, as in "
                        "'korthikanti 22B full'",
                        arguments.at("ROW"))));
}

}  // namespace
}  // namespace rehearse::cli

int main(int argc, char** argv) {
  using namespace rehearse::cli;
  const Program program{
      "scoreboard",
      "Predictions held against published measurements.",
      {{"scenario", "print the scenario of a row", scenario_syntax, scenario},
       {"table", "print errors by source, and by row", table_syntax, table}},
  };
  return run_program(program, argc, argv);
}
