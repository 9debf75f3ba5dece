// Links of a strategy on a page: of more than it has room for the busiest, and sums of all.
#pragma once

#include <string>
#include <vector>

#include "tools/summary/summary.h"

namespace rehearse {

// 131,072 links of a machine are 10 MB of a page, and nobody looks at the least busy ones.
inline constexpr std::size_t kMostShownLinks = 2000;

// Links whose names differ in numbers alone.
struct LinkKind {
  std::string name;  // with "#" for every number
  std::size_t links = 0;
  Bytes bytes;                // of all of them
  double mean = 0, most = 0;  // utilisation
};

// In the order in which they come. O(links log kinds)
std::vector<LinkKind> kinds_of(const std::vector<LinkSummary>& links);

// The busiest, in the order in which they come; of equally busy ones the first.
std::vector<LinkSummary> busiest(const std::vector<LinkSummary>& links, std::size_t most);

}  // namespace rehearse
