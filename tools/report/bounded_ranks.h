// Ranks of a strategy on a page: of thousands, each kind of figures once. Nothing is lost.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "tools/summary/summary.h"

namespace rehearse {

// Fewer are not worth it.
inline constexpr std::size_t kMostWrittenRanks = 1000;

struct RankRuns {
  std::vector<RankSummary> kinds;                         // that differ in more than their number
  std::vector<std::pair<std::size_t, std::size_t>> runs;  // kind, ranks one after the other
};

// Of ranks that are numbered from 0. O(ranks log kinds)
RankRuns runs_of(const std::vector<RankSummary>& ranks);
bool are_numbered(const std::vector<RankSummary>& ranks);

}  // namespace rehearse
