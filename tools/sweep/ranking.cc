#include "tools/sweep/ranking.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "model/base/human_number.h"
#include "model/base/text.h"
#include "tools/summary/table.h"

namespace rehearse::sweep {
namespace {

std::string counted(std::uint64_t n, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", human_count(static_cast<std::int64_t>(n)), n == 1 ? one : many);
}

std::string text_of(const Cell& cell) {
  if (const auto* truth = std::get_if<bool>(&cell)) return *truth ? "yes" : "no";
  if (const auto* count = std::get_if<std::int64_t>(&cell)) return fmt::format("{}", *count);
  if (const auto* real = std::get_if<double>(&cell)) return fmt::format("{}", *real);
  const auto* text = std::get_if<std::string>(&cell);
  return text == nullptr ? "-" : *text;
}

// The last key of each path; more of it where two would be the same.
std::vector<std::string> headings(const std::vector<std::string>& columns) {
  std::vector<std::string> names;
  for (const std::string& column : columns) {
    std::size_t from = column.rfind('.');
    const auto is_another = [&](const std::string& other) {
      return other != column &&
             (other.ends_with(column.substr(from)) || other == column.substr(from + 1));
    };
    while (from != std::string::npos && from > 0 &&
           std::any_of(columns.begin(), columns.end(), is_another))
      from = column.rfind('.', from - 1);
    names.push_back(from == std::string::npos ? column : column.substr(from + 1));
  }
  return names;
}

std::string time_of(const Cell& cell) {
  const auto seconds = number(cell);
  return seconds ? human(Seconds::seconds(*seconds)) : "-";
}
std::string rate_of(const Cell& cell) {
  const auto rate = number(cell);
  return rate ? human_number(*rate) : "-";
}
std::string bytes_of(const Cell& cell) {
  const auto* bytes = std::get_if<std::int64_t>(&cell);
  return bytes == nullptr ? "-" : human(Bytes::bytes(*bytes));
}

// Whether a column is of a place in another strategy.
bool is_of_another(std::string_view column, const std::string& strategy) {
  return column.starts_with("strategies.") &&
         !column.starts_with(fmt::format("strategies.{}.", strategy));
}

// What some of the rows have, so that there is a column for it.
struct Columns {
  bool scenarios = false;  // several
  bool runs = false;       // of more steps than others for the same work, which they are ranked by
  bool bounds = false;     // of memory, in place of what a plan's layout takes
  // Rows are of no point: of other strategies' values nothing is said.
  bool own_values = false;
  void see(const Row& row) {
    const auto step = number(figure(row, "samples_per_s")),
               run = number(figure(row, "run_samples_per_s"));
    runs = runs || (step && run && *step != *run);
    bounds = bounds || number(figure(row, "least_memory_bytes"));
  }
};

// What was swept, beginning with the scenario where there are several.
class Table {
 public:
  Table(const std::vector<std::string>& columns, const Columns& shown)
      : columns_(columns), shown_(shown) {
    if (shown_.scenarios)
      rows_.emplace_back().push_back("scenario");
    else
      rows_.emplace_back();
    for (std::string& heading : headings(columns))
      rows_[0].push_back(std::move(heading));
    for (const char* heading : {"strategy", "step time", "samples/s"})
      rows_[0].emplace_back(heading);
    if (shown_.runs) rows_[0].emplace_back("of a run");
    rows_[0].emplace_back(shown_.bounds ? "memory, at least" : "peak memory");
  }

  void add(const Row& row, bool is_played) {
    std::vector<std::string>& cells = rows_.emplace_back();
    if (shown_.scenarios) cells.push_back(row.scenario);
    for (const std::string& column : columns_) {
      const auto value = std::find_if(row.values.begin(), row.values.end(),
                                      [&](const auto& own) { return own.first == column; });
      const bool is_told =
          value != row.values.end() && !(shown_.own_values && is_of_another(column, row.strategy));
      cells.push_back(is_told ? text_of(value->second) : "-");
    }
    if (!is_played) {
      cells.resize(rows_.front().size(), "-");
      return;
    }
    const Cell mark = figure(row, "is_marked");
    const bool is_marked = mark == Cell(true);
    has_marks_ = has_marks_ || is_marked;
    is_played_ = row.method != "estimate";
    cells.insert(cells.end(),
                 {row.strategy, time_of(figure(row, "step_time_s")) + (is_marked ? "*" : ""),
                  rate_of(figure(row, "samples_per_s"))});
    if (shown_.runs) cells.push_back(rate_of(figure(row, "run_samples_per_s")));
    cells.push_back(
        bytes_of(figure(row, shown_.bounds ? "least_memory_bytes" : "peak_memory_bytes")));
  }

  StyledText print() const {
    StyledText text = align_columns(rows_);
    if (!has_marks_) return text;
    text +=
        "* messages meet on links: the step may take much longer, or less,\nand another row be the "
        "best; ";
    if (!is_played_) text += "'--method estimate-played' plays small plans of these,\nand ";
    text += "without '--method' the sweep simulates all.\n";
    return text;
  }

 private:
  const std::vector<std::string>& columns_;
  const Columns shown_;
  std::vector<std::vector<std::string>> rows_;
  bool has_marks_ = false;
  bool is_played_ = false;  // where messages meet, as far as that can be
};

}  // namespace

std::string without_numbers(std::string_view reason) {
  std::string pattern;
  const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  for (std::size_t at = 0; at < reason.size(); ++at) {
    const bool is_part =
        is_digit(reason[at]) || (reason[at] == '.' && at + 1 < reason.size() &&
                                 is_digit(reason[at + 1]) && pattern.ends_with('#'));
    if (!is_part) pattern += reason[at];
    if (is_part && !pattern.ends_with('#')) pattern += '#';
  }
  return pattern;
}

void Ranking::add(const RowPlace& place, const Row& row) {
  ++statuses_[row.status];
  std::optional<Rank> rank;
  if (row.status == RowStatus::played) {
    if (const auto samples = number(figure(row, kRankedBy))) rank = Rank{*samples, place};
  } else {
    constexpr std::size_t kMostKept = 1000;
    const std::string reason = without_numbers(row.reason);
    const bool has_room = reasons_.size() < kMostKept || reasons_.contains(reason);
    ++reasons_[has_room ? reason : "other reasons"];
  }
  if (!has_many_points_) add_to_point(place, row, rank);
  if (rank) add_to_best(*rank, row);
}

// Whose figures are all the same is told once: what was swept makes no difference to it.
std::string Ranking::what_it_comes_to(const Row& row) {
  std::string text = row.file + "\n" + row.strategy;
  for (const Cell& cell : row.figures)
    text += "\n" + text_of(cell);
  return text;
}

void Ranking::add_to_best(const Rank& rank, const Row& row) {
  if (best_.size() == kMostBest && !(rank < std::prev(best_.end())->first)) return;
  const auto [same, is_new] = ranks_.try_emplace(what_it_comes_to(row), rank);
  if (!is_new) {
    if (!(rank < same->second)) return;
    best_.erase(std::exchange(same->second, rank));
  }
  best_.emplace(rank, row);
  if (best_.size() <= kMostBest) return;
  const auto last = std::prev(best_.end());
  ranks_.erase(what_it_comes_to(last->second));
  best_.erase(last);
}

void Ranking::add_to_point(const RowPlace& place, const Row& row, const std::optional<Rank>& rank) {
  const auto [point, is_new] = points_.try_emplace({place.file, place.point}, OfPoint{row, {}});
  OfPoint& of = point->second;
  ++of.rows;
  if (row.status == RowStatus::played) ++of.played;
  if (rank && (!of.rank || *rank < *of.rank)) {
    of.rank = rank;
    of.row = row;
  }
  if (points_.size() <= kMostPoints) return;
  has_many_points_ = true;
  points_.clear();
}

std::uint64_t Ranking::rows_with(RowStatus status) const {
  const auto found = statuses_.find(status);
  return found == statuses_.end() ? 0 : found->second;
}

std::uint64_t Ranking::rows() const {
  std::uint64_t rows = 0;
  for (const auto& [status, count] : statuses_)
    rows += count;
  return rows;
}

StyledText Ranking::print(const std::vector<std::string>& columns) const {
  StyledText text;
  Columns shown;
  shown.own_values = has_many_points_;
  const std::string* first = nullptr;
  const auto see = [&](const Row& row) {
    shown.scenarios = shown.scenarios || (first != nullptr && *first != row.file);
    first = &row.file;
    shown.see(row);
  };
  for (const auto& [point, of] : points_)
    see(of.row);
  for (const auto& [rank, row] : best_)
    see(row);
  Table table(columns, shown);
  if (has_many_points_) {
    for (const auto& [rank, row] : best_)
      table.add(row, true);
    text += fmt::format("the best {} of {}, those with the same figures once\n", best_.size(),
                        counted(rows(), "row", "rows"));
  } else {
    for (const auto& [point, of] : points_)
      table.add(of.row, of.rank.has_value());
    text +=
        fmt::format("the best strategy of {}\n",
                    points_.size() == 1 ? "one point" : fmt::format("{} points", points_.size()));
  }
  if (!best_.empty() || !points_.empty()) text += table.print();
  text += fmt::format("\n{}: {} played and fit, {} more memory than there is, {} refused\n",
                      counted(rows(), "row", "rows"),
                      human_count(static_cast<std::int64_t>(rows_with(RowStatus::played))),
                      counted(rows_with(RowStatus::does_not_fit), "takes", "take"),
                      human_count(static_cast<std::int64_t>(rows_with(RowStatus::refused))));
  std::vector<std::pair<std::uint64_t, std::string>> reasons;
  for (const auto& [reason, count] : reasons_)
    reasons.emplace_back(count, reason);
  std::stable_sort(reasons.begin(), reasons.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (std::size_t r = 0; r < std::min(reasons.size(), kMostReasons); ++r)
    text += fmt::format("{:>6}  {}\n", reasons[r].first, reasons[r].second);
  if (reasons.size() > kMostReasons)
    text += fmt::format("... and {} other reasons; results.csv has all\n",
                        reasons.size() - kMostReasons);
  return text;
}

}  // namespace rehearse::sweep
