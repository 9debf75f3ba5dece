// Cutting a chain of blocks into pipeline stages.
#pragma once

#include <cstdint>
#include <vector>

namespace rehearse {

// First block of every stage, and one past the last block: stages + 1 numbers. Every stage has a
// block or more; the largest sum of costs is as small as can be, and among such cuts the earlier
// stages are the shorter ones. Exact, O(blocks^2 stages). Needs 1 <= stages <= costs.size().
std::vector<std::size_t> cut_stages(const std::vector<double>& costs, std::int64_t stages);

}  // namespace rehearse
