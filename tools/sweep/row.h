// One row of a sweep's results: a strategy at a point.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/scenario/yaml.h"
#include "tools/predict/estimates.h"
#include "tools/summary/summary.h"

namespace rehearse::sweep {

// Files and strategies by their number in the manifest. Rows are ordered by it.
struct RowPlace {
  std::uint32_t file = 0;
  std::uint32_t strategy = 0;
  std::uint64_t point = 0;
  friend bool operator==(const RowPlace&, const RowPlace&) = default;
  friend auto operator<=>(const RowPlace& a, const RowPlace& b) {
    if (const auto by = a.file <=> b.file; by != 0) return by;
    if (const auto by = a.point <=> b.point; by != 0) return by;
    return a.strategy <=> b.strategy;
  }
};

// Nothing: there is no such figure.
using Cell = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

enum class RowStatus {
  played,
  does_not_fit,  // played, in more memory than there is
  refused,       // by the reader or the planner
};
std::string_view to_string(RowStatus status);

struct Row {
  std::string scenario, file;
  std::uint64_t point = 0;
  std::string strategy;
  std::vector<std::pair<std::string, Cell>> values;  // of the sweep, in its order
  RowStatus status = RowStatus::played;
  std::string reason;  // of any status but `played`
  std::string method, tool_version, scenario_hash;
  std::vector<Cell> figures;  // figure_names(); none of what was refused
  friend bool operator==(const Row&, const Row&) = default;
};

// A swept value as its column shows it: numbers and truths as such, else the text.
Cell cell_of(const yaml::Value& value);

// Names of the figures, with their units: those of the JSON summary that are one number each.
const std::vector<std::string>& figure_names();
std::vector<Cell> figures_of(const StrategySummary& summary);
// Of an estimate that there is; what it does not say is nothing.
std::vector<Cell> figures_of(const StrategyEstimate& estimate, std::int64_t devices);
// By name; nothing if the row has no figures.
Cell figure(const Row& row, std::string_view name);
std::optional<double> number(const Cell& cell);

// One line each, with its end. A line of JSON leaves out what there is none of.
std::string print_json_line(const Row& row);
Result<Row> parse_json_line(std::string_view line);
// swept: the columns of swept values, of all files; cells of others' are empty. RFC 4180.
std::string csv_heading(const std::vector<std::string>& swept);
std::string print_csv_line(const Row& row, const std::vector<std::string>& swept);

}  // namespace rehearse::sweep
