#include "model/schedule/stages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "model/base/random.h"
#include "model/net/model_spec.h"

namespace rehearse {
namespace {

// The largest stage, and the sum of the squares of all.
using Balance = std::pair<double, double>;

Balance balance(const std::vector<double>& costs, const std::vector<std::size_t>& starts) {
  Balance balance{0, 0};
  for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
    const double stage =
        std::accumulate(costs.begin() + static_cast<std::ptrdiff_t>(starts[s]),
                        costs.begin() + static_cast<std::ptrdiff_t>(starts[s + 1]), 0.0);
    balance = {std::max(balance.first, stage), balance.second + stage * stage};
  }
  return balance;
}
double largest_stage(const std::vector<double>& costs, const std::vector<std::size_t>& starts) {
  return balance(costs, starts).first;
}

// Of all cuts of `costs` into `stages`, by brute force: the smallest largest stage, and then the
// smallest squares.
Balance best_cut(const std::vector<double>& costs, std::size_t stages,
                 std::vector<std::size_t> starts = {0}) {
  if (starts.size() == stages) {
    starts.push_back(costs.size());
    return balance(costs, starts);
  }
  Balance best{1e300, 0};
  const std::size_t left = stages - starts.size();
  for (std::size_t next = starts.back() + 1; next + left <= costs.size(); ++next) {
    auto longer = starts;
    longer.push_back(next);
    best = std::min(best, best_cut(costs, stages, longer));
  }
  return best;
}

// A GPT of six layers has eight blocks: the embedding goes with the first ones, the head with the
// last.
TEST(CutLayers, DealsAsManyToEveryStage) {
  const Net net = build_net({"gpt",
                             {{"layers", {6}},
                              {"width", {32}},
                              {"heads", {2}},
                              {"sequence", {16}},
                              {"positions", {16}},
                              {"vocabulary", {64}}}})
                      .value();
  EXPECT_EQ(cut_layers(net, 1), (StageCut{0, 8}));
  EXPECT_EQ(cut_layers(net, 2), (StageCut{0, 4, 8}));
  EXPECT_EQ(cut_layers(net, 3), (StageCut{0, 3, 5, 8}));
  EXPECT_EQ(cut_layers(net, 6), (StageCut{0, 2, 3, 4, 5, 6, 8}));
  EXPECT_EQ(cut_layers(net, 4), std::nullopt);
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
      EXPECT_EQ(balance(costs, starts), best_cut(costs, stages));
    }
  }
}

TEST(CutStages, EqualCostsAreCutEvenly) {
  EXPECT_EQ(cut_stages(std::vector<double>(8, 1.0), 4), (std::vector<std::size_t>{0, 2, 4, 6, 8}));
}

// The last stage is the largest in any case; the embedding, which costs next to nothing, does not
// get a stage of its own for that.
TEST(CutStages, AreAsEvenAsTheLargestAllows) {
  EXPECT_EQ(cut_stages({0.1, 1, 1, 1, 9}, 4), (std::vector<std::size_t>{0, 2, 3, 4, 5}));
}

// All cuts whose stages fit, by brute force: the smallest largest stage, or infinity.
double best_fitting(const std::vector<double>& costs, const StageLimit& limit, std::size_t stages,
                    std::vector<std::size_t> starts = {0}) {
  const auto fits = [&](std::size_t stage, std::size_t begin, std::size_t end) {
    double bytes = 0;
    for (std::size_t b = begin; b < end; ++b) {
      bytes += static_cast<double>(limit.memory.state[b].bytes()) +
               static_cast<double>(limit.live[stage]) *
                   static_cast<double>(limit.memory.activations[b].bytes());
    }
    return bytes <= static_cast<double>(limit.room[stage].bytes());
  };
  const std::size_t stage = starts.size() - 1;
  if (starts.size() == stages) {
    if (!fits(stage, starts.back(), costs.size())) return 1e300;
    starts.push_back(costs.size());
    return largest_stage(costs, starts);
  }
  double best = 1e300;
  const std::size_t left = stages - starts.size();
  for (std::size_t next = starts.back() + 1; next + left <= costs.size(); ++next) {
    if (!fits(stage, starts.back(), next)) continue;
    auto longer = starts;
    longer.push_back(next);
    best = std::min(best, best_fitting(costs, limit, stages, longer));
  }
  return best;
}

// Under a memory limit, with as many activations as 1F1B keeps: p - s of stage s.
TEST(CutStages, IsOptimalAmongThoseThatFit) {
  Random random(11);
  int impossible = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const std::size_t blocks = 2 + random.below(7), stages = 1 + random.below(blocks);
    std::vector<double> costs(blocks);
    BlockMemory memory;
    for (double& cost : costs) {
      cost = static_cast<double>(random.below(20));
      memory.state.push_back(Bytes::bytes(static_cast<std::int64_t>(random.below(50))));
      memory.activations.push_back(Bytes::bytes(static_cast<std::int64_t>(random.below(20))));
    }
    StageLimit limit{memory, {}, {}, {}};
    const std::uint64_t room = 50 + random.below(200);
    for (std::size_t s = 0; s < stages; ++s) {
      limit.live.push_back(static_cast<std::int64_t>(stages - s));
      limit.rank.push_back(s);
      limit.room.push_back(Bytes::bytes(static_cast<std::int64_t>(room + random.below(20))));
    }
    const double best = best_fitting(costs, limit, stages);
    const auto starts = cut_stages(costs, static_cast<std::int64_t>(stages), limit);
    ASSERT_EQ(starts.has_value(), best < 1e300) << trial;
    if (starts) {
      EXPECT_EQ(largest_stage(costs, *starts), best) << trial;
    }
    impossible += starts ? 0 : 1;
  }
  EXPECT_GT(impossible, 10);
  EXPECT_LT(impossible, 190) << "both cases are tried";
}

}  // namespace
}  // namespace rehearse
