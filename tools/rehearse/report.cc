#include "tools/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "model/base/text.h"
#include "tools/figures/figures.h"
#include "tools/rehearse/commands.h"
#include "tools/summary/diff.h"
#include "tools/sweep/results.h"

namespace rehearse::cli {
namespace {

Syntax syntax() {
  return {{"DIR"},
          {{"html", "FILE", "the page to write (default: DIR/report.html)"},
           {"svg", "DIR", "write the pictures as SVG into this directory, too"},
           {"png", "DIR", "the same as PNG"}}};
}

struct SummaryFile {
  std::string path;
  Summary summary;
};

Result<std::vector<std::string>> json_files(const std::string& directory) {
  namespace fs = std::filesystem;
  std::vector<std::string> paths;
  std::error_code problem;
  if (fs::is_regular_file(directory, problem))
    return error(fmt::format("'{}' is a file: a report is of a folder of results", directory));
  for (const auto& file : fs::recursive_directory_iterator(directory, problem)) {
    if (file.is_regular_file() && file.path().extension() == ".json")
      paths.push_back(file.path().string());
  }
  if (problem) return error(fmt::format("cannot read '{}': {}", directory, problem.message()));
  std::sort(paths.begin(), paths.end());
  return paths;
}

// A run of a saved plan knows its plan, not the scenario's name.
bool share_a_plan(const Summary& a, const Summary& b) {
  return std::any_of(a.strategies.begin(), a.strategies.end(), [&](const StrategySummary& own) {
    return std::any_of(b.strategies.begin(), b.strategies.end(), [&](const StrategySummary& other) {
      return other.plan_hash == own.plan_hash;
    });
  });
}

// The page is about one scenario, and has one prediction and one run of each strategy.
Status check_belongs(const SummaryFile& file, const std::vector<SummaryFile>& others) {
  for (const SummaryFile& other : others) {
    if (other.summary.scenario != file.summary.scenario &&
        !share_a_plan(other.summary, file.summary)) {
      return error(
          fmt::format("'{}' is about '{}', '{}' about '{}': a report is about one scenario",
                      other.path, other.summary.scenario, file.path, file.summary.scenario));
    }
    if (other.summary.source != file.summary.source) continue;
    for (const StrategySummary& strategy : file.summary.strategies) {
      const auto& known = other.summary.strategies;
      const bool twice = std::any_of(known.begin(), known.end(), [&](const StrategySummary& s) {
        return s.strategy == strategy.strategy;
      });
      if (!twice) continue;
      return error(
          fmt::format("strategy '{}' is {} in '{}' and in '{}': a report has room for one of them",
                      strategy.strategy, file.summary.source, other.path, file.path));
    }
  }
  return success();
}

Result<std::optional<Summary>> optional_of(Result<Summary> summary) {
  if (!summary) return summary.errors();
  return std::optional(std::move(*summary));
}

// The summaries in a directory and below. Traces, samples and what others put there are passed
// over; what is no JSON at all is most likely a file that was cut off.
Result<std::vector<Summary>> read_summaries(const std::string& directory) {
  const auto paths = json_files(directory);
  if (!paths) return paths.errors();
  std::vector<SummaryFile> files;
  for (const std::string& path : *paths) {
    const std::string name = std::filesystem::path(path).filename().string();
    const Result<std::string> text = read_file(path);
    if (!text) return text.errors();
    const bool must_be_one = name == "predicted.json" || name == "measured.json";
    Result<std::optional<Summary>> summary =
        must_be_one ? optional_of(parse_summary(*text, path)) : parse_if_summary(*text, path);
    if (!summary) return summary.errors();
    if (!*summary) continue;
    SummaryFile file{path, std::move(**summary)};
    const Status belongs = check_belongs(file, files);
    if (!belongs) return belongs.errors();
    files.push_back(std::move(file));
  }
  std::vector<Summary> summaries;
  for (SummaryFile& file : files)
    summaries.push_back(std::move(file.summary));
  return summaries;
}

Result<Report> read_results(const std::string& directory) {
  Result<std::vector<Summary>> summaries = read_summaries(directory);
  if (!summaries) return summaries.errors();
  Report report{std::move(*summaries)};
  if (sweep::has_manifest(directory)) {
    Result<SweptRows> swept = read_swept_rows(directory);
    if (!swept) return swept.errors();
    report.sweep = std::move(*swept);
  }
  if (report.summaries.empty() && !report.sweep) {
    return error(
        fmt::format("'{}' holds no results: 'rehearse simulate --out', 'rehearse sweep --out' and "
                    "'rehearse-exec train --out' write them",
                    directory));
  }
  return report;
}

std::string contents_of(const Report& report) {
  std::vector<std::string> parts;
  if (report.sweep) {
    const auto total = static_cast<std::int64_t>(report.sweep->total());
    parts.push_back(fmt::format("{} row{} of a sweep", human_count(total), total == 1 ? "" : "s"));
    if (!report.sweep->has_all)
      parts.back() +=
          fmt::format(" (the best {} shown)", human_count(std::ssize(report.sweep->rows)));
  }
  const std::size_t files = report.summaries.size();
  if (files > 0) parts.push_back(files == 1 ? "1 file" : fmt::format("{} files", files));
  return fmt::format("{}", fmt::join(parts, " and "));
}

std::vector<figures::Figure> figures_of(const Report& report) {
  std::vector<figures::Figure> all = figures::figures_of(report.summaries);
  if (!report.sweep) return all;
  for (figures::Figure& figure : figures::figures_of(*report.sweep))
    all.push_back(std::move(figure));
  return all;
}

// In the directory that an option names, if it is there.
Status write_figures(const Arguments& arguments, const std::string& format,
                     const std::vector<figures::Figure>& all) {
  const auto directory = arguments.get(format);
  if (!directory) return success();
  const Status written =
      format == "svg" ? figures::write_svg(all, *directory) : figures::write_png(all, *directory);
  if (!written) return written;
  std::cout << fmt::format("{} picture{} written to {}\n", all.size(), all.size() == 1 ? "" : "s",
                           *directory);
  if (all.empty()) std::cout << "no row of the sweep has figures that could be drawn\n";
  return success();
}

// Of strategies that were measured with another plan than the predicted one.
std::vector<std::string> differing_plans(const Report& report) {
  std::vector<std::string> all;
  for (const Summary& predicted : report.summaries) {
    for (const Summary& measured : report.summaries) {
      if (predicted.source != "predicted" || measured.source != "measured") continue;
      for (const StrategySummary& p : predicted.strategies) {
        for (const StrategySummary& m : measured.strategies) {
          if (p.strategy == m.strategy && !have_same_plan(p, m))
            all.push_back(rehearse::differing_plans(p, m));
        }
      }
    }
  }
  return all;
}

int run(const Arguments& arguments) {
  const std::string& directory = arguments.at("DIR");
  const Result<Report> report = read_results(directory);
  if (!report) return fail(report.errors());
  const std::string out =
      arguments.get("html").value_or((std::filesystem::path(directory) / "report.html").string());
  const Status written = write_file(out, print_report(*report));
  if (!written) return fail(written.errors());
  std::cout << fmt::format("report of {} written to {}\n", contents_of(*report), out);
  for (const std::string& difference : differing_plans(*report))
    std::cerr << fmt::format("note: {}: the report does not compare them\n", difference);
  if (!arguments.has("svg") && !arguments.has("png")) return kDone;
  const std::vector<figures::Figure> figures = figures_of(*report);
  for (const char* format : {"svg", "png"}) {
    const Status drawn = write_figures(arguments, format, figures);
    if (!drawn) return fail(drawn.errors());
  }
  return kDone;
}

}  // namespace

Command report_command() {
  return {"report", "write one HTML page about the predictions, runs or sweep in a directory",
          syntax, run};
}

}  // namespace rehearse::cli
