// Tables as comma-separated text with a line of names; no quotes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/base/diagnostic.h"

namespace rehearse {

// A row and where it stands. Errors of the readers name the column.
struct CsvRow {
  std::map<std::string, std::string> cells;
  SourceSpan where;

  const std::string& text(const std::string& column) const { return cells.at(column); }
  Result<std::int64_t> count(const std::string& column) const;
  Result<double> number(const std::string& column) const;
};

// Errors: a column of `needed` is missing, or a row has another number of cells than the first
// line.
Result<std::vector<CsvRow>> parse_csv(const std::string& text, const std::string& path,
                                      const std::vector<std::string>& needed);

// The same of a file.
Result<std::vector<CsvRow>> read_csv(const std::string& path,
                                     const std::vector<std::string>& needed);

}  // namespace rehearse
