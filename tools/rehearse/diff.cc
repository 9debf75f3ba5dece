#include "tools/summary/diff.h"

#include <iostream>

#include "tools/cli/terminal.h"
#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"PREDICTED", "MEASURED"}, {}};
}

Result<Summary> read_summary(const std::string& path) {
  const Result<std::string> text = read_file(path);
  if (!text) return text.errors();
  return parse_summary(*text, path);
}

int run(const Arguments& arguments) {
  const Result<Summary> predicted = read_summary(arguments.at("PREDICTED"));
  if (!predicted) return fail(predicted.errors());
  const Result<Summary> measured = read_summary(arguments.at("MEASURED"));
  if (!measured) return fail(measured.errors());
  const Result<StyledText> text = print_diff(*predicted, *measured);
  if (!text) return fail(text.errors());
  print(*text);
  return kDone;
}

}  // namespace

Command diff_command() {
  return {"diff", "hold a prediction against a measurement of the same plan", syntax, run};
}

}  // namespace rehearse::cli
