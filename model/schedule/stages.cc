#include "model/schedule/stages.h"

#include <algorithm>
#include <limits>

#include "model/base/check.h"

namespace rehearse {

std::vector<std::size_t> cut_stages(const std::vector<double>& costs, std::int64_t stages) {
  const std::size_t blocks = costs.size();
  const auto parts = static_cast<std::size_t>(stages);
  REHEARSE_CHECK(stages >= 1 && parts <= blocks, "{} stages of {} blocks", stages, blocks);
  std::vector<double> sum(blocks + 1, 0);
  for (std::size_t b = 0; b < blocks; ++b)
    sum[b + 1] = sum[b] + costs[b];
  // best[p][b]: smallest largest cost of blocks [b, end) in p stages; cut[p][b]: where the first
  // ends.
  constexpr double kNever = std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> best(parts + 1, std::vector<double>(blocks + 1, kNever));
  std::vector<std::vector<std::size_t>> cut(parts + 1,
                                            std::vector<std::size_t>(blocks + 1, blocks));
  best[0][blocks] = 0;
  for (std::size_t p = 1; p <= parts; ++p) {
    for (std::size_t b = 0; b + p <= blocks; ++b) {
      for (std::size_t end = b + 1; end + p - 1 <= blocks; ++end) {
        const double largest = std::max(sum[end] - sum[b], best[p - 1][end]);
        if (largest < best[p][b]) best[p][b] = largest, cut[p][b] = end;
      }
    }
  }
  std::vector<std::size_t> starts = {0};
  for (std::size_t p = parts; p >= 1; --p)
    starts.push_back(cut[p][starts.back()]);
  return starts;
}

}  // namespace rehearse
