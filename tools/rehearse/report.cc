#include "tools/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "tools/rehearse/commands.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"DIR"}, {{"html", "FILE", "the page to write (default: DIR/report.html)"}}};
}

// The summaries in a directory and below: files whose JSON says so; samples and the like are others.
Result<std::vector<Summary>> read_summaries(const std::string& directory) {
  namespace fs = std::filesystem;
  std::vector<std::string> paths;
  std::error_code problem;
  for (const auto& file : fs::recursive_directory_iterator(directory, problem)) {
    if (file.path().filename() == "predicted.json" || file.path().filename() == "measured.json") paths.push_back(file.path().string());
  }
  if (problem) return error(fmt::format("cannot read '{}': {}", directory, problem.message()));
  if (paths.empty()) return error(fmt::format("'{}' holds no predicted.json and no measured.json", directory));
  std::sort(paths.begin(), paths.end());
  std::vector<Summary> summaries;
  for (const std::string& path : paths) {
    const Result<std::string> text = read_file(path);
    if (!text) return text.errors();
    const Result<Summary> summary = parse_summary(*text, path);
    if (!summary) return summary.errors();
    summaries.push_back(*summary);
  }
  return summaries;
}

int run(const Arguments& arguments) {
  const std::string& directory = arguments.at("DIR");
  const auto summaries = read_summaries(directory);
  if (!summaries) return fail(summaries.errors());
  const std::string out = arguments.get("html").value_or((std::filesystem::path(directory) / "report.html").string());
  const Status written = write_file(out, print_report(*summaries));
  if (!written) return fail(written.errors());
  std::cout << fmt::format("report of {} written to {}\n", summaries->size() == 1 ? "1 file" : fmt::format("{} files", summaries->size()), out);
  return kDone;
}

}  // namespace

Command report_command() { return {"report", "write one HTML page about the predictions and runs in a directory", syntax, run}; }

}  // namespace rehearse::cli
