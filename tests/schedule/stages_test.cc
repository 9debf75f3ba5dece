#include "model/schedule/stages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "model/base/random.h"

namespace rehearse {
namespace {

double largest_stage(const std::vector<double>& costs, const std::vector<std::size_t>& starts) {
  double largest = 0;
  for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
    largest = std::max(
        largest, std::accumulate(costs.begin() + static_cast<std::ptrdiff_t>(starts[s]),
                                 costs.begin() + static_cast<std::ptrdiff_t>(starts[s + 1]), 0.0));
  }
  return largest;
}

// All cuts of `costs` into `stages`, by brute force: the smallest largest stage.
double best_cut(const std::vector<double>& costs, std::size_t stages,
                std::vector<std::size_t> starts = {0}) {
  if (starts.size() == stages) {
    starts.push_back(costs.size());
    return largest_stage(costs, starts);
  }
  double best = 1e300;
  const std::size_t left = stages - starts.size();
  for (std::size_t next = starts.back() + 1; next + left <= costs.size(); ++next) {
    auto longer = starts;
    longer.push_back(next);
    best = std::min(best, best_cut(costs, stages, longer));
  }
  return best;
}

TEST(CutStages, IsOptimal) {
  Random random(7);
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<double> costs(1 + random.below(9));
    for (double& cost : costs)
      cost = static_cast<double>(random.below(20));
    for (std::size_t stages = 1; stages <= costs.size(); ++stages) {
      const auto starts = *cut_stages(costs, static_cast<std::int64_t>(stages));
      ASSERT_EQ(starts.size(), stages + 1);
      EXPECT_EQ(starts.front(), 0u);
      EXPECT_EQ(starts.back(), costs.size());
      EXPECT_TRUE(std::is_sorted(starts.begin(), starts.end()));
      EXPECT_EQ(std::adjacent_find(starts.begin(), starts.end()), starts.end()) << "an empty stage";
      EXPECT_EQ(largest_stage(costs, starts), best_cut(costs, stages));
    }
  }
}

TEST(CutStages, EqualCostsAreCutEvenly) {
  EXPECT_EQ(cut_stages(std::vector<double>(8, 1.0), 4), (std::vector<std::size_t>{0, 2, 4, 6, 8}));
}

}  // namespace
}  // namespace rehearse
