#include "tools/report/swept_rows.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "model/base/text.h"
#include "tools/sweep/methods.h"
#include "tools/sweep/ranking.h"
#include "tools/sweep/results.h"

namespace rehearse {
namespace {

using Json = nlohmann::ordered_json;
using sweep::Row;
using sweep::RowStatus;

// Points of which none is as good as another in both figures: less memory, less of the other one.
class Front {
 public:
  void add(double memory, double cost, std::uint64_t at) {
    const auto next = points_.upper_bound(memory);
    if (next != points_.begin() && std::prev(next)->second.first <= cost) return;
    auto beaten = points_.lower_bound(memory);
    while (beaten != points_.end() && beaten->second.first >= cost)
      beaten = points_.erase(beaten);
    points_.emplace(memory, std::pair(cost, at));
  }
  void collect(std::set<std::uint64_t>& into) const {
    for (const auto& [memory, point] : points_)
      into.insert(point.second);
  }

 private:
  std::map<double, std::pair<double, std::uint64_t>> points_;  // memory: cost, place
};

// Picks the rows that are shown of too many, by where they stand in the file.
class BestRows {
 public:
  explicit BestRows(std::string_view memory) : memory_(memory) {}
  void add(const Row& row, std::uint64_t at) {
    if (row.status != RowStatus::played) return;
    const auto samples = sweep::number(figure(row, sweep::kRankedBy));
    if (!samples) return;
    add_to_fronts(row, *samples, at);
    std::vector<std::string> values = {row.file};
    for (const auto& [name, value] : row.values)
      values.push_back(name + "=" + value_text(value));
    for (std::size_t a = 0; a < values.size(); ++a) {
      for (std::size_t b = a; b < values.size(); ++b) {
        const auto [best, is_new] = best_.try_emplace(
            row.strategy + "\n" + values[a] + "\n" + values[b], std::pair(*samples, at));
        if (!is_new && *samples > best->second.first) best->second = {*samples, at};
      }
    }
  }

  std::set<std::uint64_t> places() const {
    std::set<std::uint64_t> all;
    for (const auto& [key, best] : best_)
      all.insert(best.second);
    for (const auto& [strategy, fronts] : fronts_) {
      for (const Front& front : fronts)
        front.collect(all);
    }
    return all;
  }

 private:
  static std::string value_text(const sweep::Cell& cell) {
    if (const auto* text = std::get_if<std::string>(&cell)) return *text;
    if (const auto* truth = std::get_if<bool>(&cell)) return *truth ? "true" : "false";
    const auto value = sweep::number(cell);
    return value ? exact(*value) : "";
  }
  void add_to_fronts(const Row& row, double samples, std::uint64_t at) {
    const auto memory = sweep::number(figure(row, memory_));
    const auto time = sweep::number(figure(row, "step_time_s"));
    if (!memory || !time) return;
    auto& fronts = fronts_[row.strategy];
    fronts[0].add(*memory, *time, at);
    fronts[1].add(*memory, -samples, at);
  }

  std::string_view memory_;
  std::map<std::string, std::pair<double, std::uint64_t>> best_;  // samples per second, place
  std::map<std::string, std::array<Front, 2>> fronts_;            // by strategy
};

void count(SweptRows& swept, const Row& row) {
  ++swept.statuses[row.status];
  if (row.status == RowStatus::played) return;
  constexpr std::size_t kMostReasons = 1000;
  std::string reason = sweep::without_numbers(row.reason);
  if (swept.reasons.size() >= kMostReasons && !swept.reasons.contains(reason))
    reason = "other reasons";
  const auto place =
      swept.reasons.try_emplace(reason, SweptRows::Reason{row.status, row.reason, 0});
  ++place.first->second.rows;
}

Status take_best(SweptRows& swept, const std::string& folder, const BestRows& best,
                 std::size_t most) {
  const std::set<std::uint64_t> places = best.places();
  if (places.size() > most) {
    return error(
        fmt::format("'{}' has {} rows, and {} of them are the best of some two swept values: a "
                    "page has room for {}",
                    folder, human_count(static_cast<std::int64_t>(swept.total())),
                    human_count(std::ssize(places)), human_count(static_cast<std::int64_t>(most))));
  }
  const auto read = sweep::visit_rows(folder, [&](const Row& row, std::uint64_t at) {
    if (places.contains(at)) swept.rows.push_back(row);
    return success();
  });
  return read ? success() : Status(read.errors());
}

}  // namespace

std::uint64_t SweptRows::total() const {
  std::uint64_t sum = 0;
  for (const auto& [status, rows] : statuses)
    sum += rows;
  return sum;
}

std::string_view memory_figure(const SweptRows& swept) {
  return sweep::is_estimate(swept.manifest.method) ? "least_memory_bytes" : "peak_memory_bytes";
}

Result<SweptRows> read_swept_rows(const std::string& folder, std::size_t most) {
  Result<sweep::Manifest> manifest = sweep::read_manifest(folder);
  if (!manifest) return manifest.errors();
  SweptRows swept;
  swept.manifest = std::move(*manifest);
  BestRows best(memory_figure(swept));
  AxisCollector axes(sweep::columns_of(swept.manifest));
  const auto read = sweep::visit_rows(folder, [&](const Row& row, std::uint64_t at) {
    count(swept, row);
    axes.add(row);
    best.add(row, at);
    if (swept.has_all) swept.rows.push_back(row);
    if (swept.rows.size() <= most) return success();
    swept.has_all = false;
    swept.rows.clear();
    return success();
  });
  if (!read) return read.errors();
  swept.axes = axes.in_order();
  if (swept.total() == 0) return error(fmt::format("'{}' holds no row of a sweep yet", folder));
  if (swept.has_all) return swept;
  const Status taken = take_best(swept, folder, best, most);
  if (!taken) return taken.errors();
  return swept;
}

std::string print_json(const SweptRows& swept) {
  Json files = Json::array(), reasons = Json::array(), rows = Json::array();
  for (const sweep::SweptFileEntry& file : swept.manifest.files)
    files.push_back({{"file", file.file}, {"name", file.name}, {"points", file.points}});
  for (const auto& [reason, of] : swept.reasons) {
    reasons.push_back({{"reason", reason},
                       {"status", to_string(of.status)},
                       {"rows", of.rows},
                       {"example", of.example}});
  }
  Json axis_values = Json::object();
  for (const AxisValues& axis : swept.axes) {
    Json& values = axis_values[axis.name] = Json::array();
    const auto push = [&](const auto& value) {
      if constexpr (!std::is_same_v<std::decay_t<decltype(value)>, std::monostate>)
        values.push_back(value);
    };
    for (const sweep::Cell& value : axis.values)
      std::visit(push, value);
  }
  Json statuses = Json::object();
  for (const auto& [status, count] : swept.statuses)
    statuses[std::string(to_string(status))] = count;

  const std::vector<std::string> named = {"scenario", "file",   "point",        "strategy",
                                          "status",   "reason", "scenario_hash"};
  const std::vector<std::string> axes = sweep::columns_of(swept.manifest);
  std::vector<std::string> columns = named;
  columns.insert(columns.end(), axes.begin(), axes.end());
  columns.insert(columns.end(), sweep::figure_names().begin(), sweep::figure_names().end());
  for (const Row& row : swept.rows) {
    const Json own = Json::parse(sweep::print_json_line(row));
    Json cells = Json::array();
    for (const std::string& name : named)
      cells.push_back(own.value(name, Json()));
    for (const std::string& name : axes)
      cells.push_back(own["values"].value(name, Json()));
    for (const std::string& name : sweep::figure_names())
      cells.push_back(own.value(name, Json()));
    rows.push_back(std::move(cells));
  }
  const Json json = {{"tool_version", swept.manifest.tool_version},
                     {"method", swept.manifest.method},
                     {"shard", to_string(swept.manifest.shard)},
                     {"files", std::move(files)},
                     {"rows_of_sweep", sweep::rows_of(swept.manifest)},
                     {"rows_played", swept.total()},
                     {"has_all_rows", swept.has_all},
                     {"statuses", std::move(statuses)},
                     {"reasons", std::move(reasons)},
                     {"columns", std::move(columns)},
                     {"swept", axes},
                     {"axis_values", std::move(axis_values)},
                     {"memory", memory_figure(swept)},
                     {"rows", std::move(rows)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace rehearse
