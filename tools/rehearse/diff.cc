#include "tools/summary/diff.h"

#include <filesystem>
#include <iostream>
#include <utility>

#include "tools/cli/terminal.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"PREDICTED", "MEASURED"}, {}};
}

// A folder is what a training wrote.
std::string file_of(const std::string& path) {
  const std::filesystem::path measured = std::filesystem::path(path) / "measured.json";
  std::error_code ignored;
  return std::filesystem::exists(measured, ignored) ? measured.string() : path;
}

Result<Summary> read_summary(const std::string& argument) {
  const std::string path = file_of(argument);
  const Result<std::string> text = read_file(path);
  if (!text) return text.errors();
  return parse_summary(*text, path);
}

int run(const Arguments& arguments) {
  Result<Summary> predicted = read_summary(arguments.at("PREDICTED"));
  if (!predicted) return fail(predicted.errors());
  Result<Summary> measured = read_summary(arguments.at("MEASURED"));
  if (!measured) return fail(measured.errors());
  // Each file says what it is: their order does not matter.
  if (predicted->source == "measured" && measured->source == "predicted")
    std::swap(predicted, measured);
  const Result<StyledText> text = print_diff(*predicted, *measured);
  if (!text) return fail(text.errors());
  print(*text);
  return kDone;
}

}  // namespace

Command diff_command() {
  return {"diff",
          "hold a prediction against a measurement (measured.json, or its folder) of the same plan",
          syntax, run};
}

}  // namespace rehearse::cli
