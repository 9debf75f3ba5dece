// The values of a swept column, in one order for the page and for the pictures for papers.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tools/sweep/row.h"

namespace rehearse {

// What a value is in base units (s, B, B/s, FLOP/s), of a text with the units of scenario files;
// none: it is no quantity. "800 Mb/s" is 1e8.
std::optional<double> base_value(const sweep::Cell& value);

// Quantities by size, whatever their units; then truths, no before yes; then other texts, with the
// numbers in them by size: "1x8" before "1x16".
bool comes_before(const sweep::Cell& a, const sweep::Cell& b);

struct AxisValues {
  std::string name;
  std::vector<sweep::Cell> values;  // each once, in order
};

// Collects them row by row, of the columns with these names.
class AxisCollector {
 public:
  explicit AxisCollector(const std::vector<std::string>& names) : names_(names) {
    for (const std::string& name : names)
      values_[name];
  }
  void add(const sweep::Row& row);
  std::vector<AxisValues> in_order() const;

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::set<sweep::Cell>> values_;
};

}  // namespace rehearse
