#include "tools/predict/fit_stages.h"

#include <gtest/gtest.h>

#include "cost/estimate.h"
#include "cost/memory.h"
#include "model/schedule/build_plan.h"
#include "tests/cost/devices.h"
#include "tests/schedule/plans.h"

namespace rehearse {
namespace {

// A pipeline on GPUs with so much memory, and what is needed to cut it.
class Cuts {
 public:
  Cuts(StrategySpec strategy, std::int64_t ranks) : strategy_(std::move(strategy)), ranks_(ranks) {
    device_.kind = DeviceKind::gpu;
    device_.workspace = Bytes{};
    samples_ = training_.batch / (data() * strategy_.pipeline->micro_batches);
    costs_ = stage_costs(net_, strategy_.recomputation, samples_, training_, device_);
  }

  Result<Plan> build(const std::optional<StageCut>& cut) const {
    return build_plan(strategy_, model_, training_, ranks_, costs_, cut);
  }
  Plan fitted(Bytes memory) {
    device_.memory = memory;
    const BlockMemory blocks = block_memory(net_, strategy_.recomputation, samples_, training_,
                                            strategy_.sharding, data());
    return fit_stages([&](const auto& cut) { return build(cut); }, blocks,
                      [&](const Plan& plan) { return memory_of(plan, device_, 1); })
        .value()
        .plan;
  }
  Bytes peak(const Plan& plan) const { return memory_of(plan, device_, 1).peak; }
  StageCut cut(const Plan& plan) const { return cut_of(plan, net_); }

  // The smallest peak of all cuts there are.
  Bytes smallest(std::size_t stages, StageCut cut = {0}) const {
    if (cut.size() == stages) {
      cut.push_back(net_.blocks.size());
      return peak(build(cut).value());
    }
    std::optional<Bytes> best;
    const std::size_t left = stages - cut.size();
    for (std::size_t next = cut.back() + 1; next + left <= net_.blocks.size(); ++next) {
      StageCut longer = cut;
      longer.push_back(next);
      const Bytes peak = smallest(stages, longer);
      best = std::min(best.value_or(peak), peak);
    }
    return *best;
  }

 private:
  std::int64_t data() const { return strategy_.data.value_or(1); }

  const ModelSpec model_ = {"gpt",
                            {{"layers", {5}},
                             {"width", {32}},
                             {"heads", {4}},
                             {"vocabulary", {400}},
                             {"sequence", {32}},
                             {"positions", {32}}}};
  const Net net_ = build_net(model_).value();
  Training training_ = testing::training(16);
  StrategySpec strategy_;
  std::int64_t ranks_, samples_ = 0;
  Device device_ = testing::simple_device();
  StageCosts costs_;
};

void expect_what_fits(const StrategySpec& strategy, std::int64_t ranks, std::size_t stages) {
  SCOPED_TRACE(strategy.name);
  Cuts cuts(strategy, ranks);
  const Plan balanced = cuts.build(std::nullopt).value();
  const Bytes most = cuts.peak(balanced), least = cuts.smallest(stages);
  ASSERT_LT(least, most) << "nothing to be won by cutting elsewhere";
  EXPECT_EQ(cuts.cut(cuts.fitted(most)), cuts.cut(balanced));
  // A little less is found another cut for, and so is little more than the least; less than that
  // shows the balanced one.
  EXPECT_LT(cuts.peak(cuts.fitted(most - Bytes::bytes(1))), most);
  const Bytes little = least + least / 20;
  EXPECT_LE(cuts.peak(cuts.fitted(little)), little);
  EXPECT_EQ(cuts.cut(cuts.fitted(least - Bytes::bytes(1))), cuts.cut(balanced));
}

TEST(FitStages, FindsACutWhereThereIsOne) {
  expect_what_fits(testing::pipeline("1f1b", 2, 4), 2, 2);
  expect_what_fits(testing::pipeline("1f1b", 3, 8), 3, 3);
}

TEST(FitStages, CountsTheChunksOfARankTogether) {
  StrategySpec strategy = testing::pipeline("interleaved", 2, 4);
  strategy.pipeline->chunks = 2;
  expect_what_fits(strategy, 2, 4);
}

TEST(FitStages, KnowsWhatIsShardedAndRecomputed) {
  StrategySpec strategy = testing::pipeline("1f1b", 2, 2);
  strategy.data = 2;
  strategy.sharding = Sharding::parameters;
  strategy.recomputation = Recomputation::full;
  expect_what_fits(strategy, 4, 2);
}

}  // namespace
}  // namespace rehearse
