#include "tools/scoreboard/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "model/base/text.h"
#include "model/scenario/scenario.h"

namespace rehearse {
namespace {

std::vector<std::string> cells_of(std::string_view line) {
  std::vector<std::string> cells;
  for (const std::string_view cell : split(line, ','))
    cells.emplace_back(trim(cell));
  return cells;
}

template <class Number>
Result<Number> as_number(const CsvRow& row, const std::string& column,
                         std::optional<Number> (*parse)(std::string_view)) {
  const auto number = parse(row.text(column));
  if (number) return *number;
  return error_at(row.where,
                  fmt::format("'{}' has to be a number, got '{}'", column, row.text(column)));
}

}  // namespace

Result<std::int64_t> CsvRow::count(const std::string& column) const {
  return as_number<std::int64_t>(*this, column, parse_integer);
}

Result<double> CsvRow::number(const std::string& column) const {
  return as_number<double>(*this, column, parse_number);
}

Result<std::vector<CsvRow>> parse_csv(const std::string& text, const std::string& path,
                                      const std::vector<std::string>& needed) {
  const auto source = std::make_shared<SourceText>(path, text);
  const std::vector<std::string> names = cells_of(source->line(1));
  for (const std::string& name : needed) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      return error_at({source, 1, 1, 0}, fmt::format("there is no column '{}'", name));
  }
  std::vector<CsvRow> rows;
  const auto lines = static_cast<int>(std::count(text.begin(), text.end(), '\n')) + 1;
  for (int number = 2; number <= lines; ++number) {
    const std::string_view line = source->line(number);
    if (trim(line).empty()) continue;
    const std::vector<std::string> cells = cells_of(line);
    CsvRow row{{}, {source, number, 1, static_cast<int>(line.size())}};
    if (cells.size() != names.size())
      return error_at(row.where,
                      fmt::format("expected {} cells, got {}", names.size(), cells.size()));
    for (std::size_t c = 0; c < names.size(); ++c)
      row.cells[names[c]] = cells[c];
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<std::vector<CsvRow>> read_csv(const std::string& path,
                                     const std::vector<std::string>& needed) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.errors();
  return parse_csv(*text, path, needed);
}

}  // namespace rehearse
