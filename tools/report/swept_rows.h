// What a page shows of a folder that `rehearse sweep` wrote.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/report/axis_values.h"
#include "tools/sweep/manifest.h"
#include "tools/sweep/row.h"

namespace rehearse {

// More make a browser stutter, and a page of more than some 10 MB.
inline constexpr std::size_t kMostSweptRows = 20000;

struct SweptRows {
  struct Reason {
    sweep::RowStatus status = sweep::RowStatus::refused;
    std::string example;
    std::uint64_t rows = 0;
  };

  sweep::Manifest manifest;
  std::map<sweep::RowStatus, std::uint64_t> statuses;  // of all rows
  std::map<std::string, Reason> reasons;               // of all rows, by what they say but numbers
  std::vector<AxisValues> axes;                        // of all rows, in the manifest's order
  std::vector<sweep::Row> rows;                        // all, or of too many:
  // for each strategy, of those that were played and fit, the ones that no other beats in both
  // memory and step time, or memory and samples per second; and for every swept value, and every
  // two of them, the one with the most samples per second. Maxima over other axes stay what they
  // are.
  bool has_all = true;

  std::uint64_t total() const;
};

// The figure that stands for memory in pictures: estimates have no peak, but what it is at least.
std::string_view memory_figure(const SweptRows& swept);

// O(rows) time; memory for `most` rows and a few words for every pair of values.
// Errors: what is there is no results of a sweep; even the best rows are too many.
Result<SweptRows> read_swept_rows(const std::string& folder, std::size_t most = kMostSweptRows);

// {"files", "method", ..., "columns": names, "swept": names of columns,
// "axis_values": {name: [value, ...]} in order, "memory": a figure's name, "rows": [[cell, ...],
// ...]}
std::string print_json(const SweptRows& swept);

}  // namespace rehearse
