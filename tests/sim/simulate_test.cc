// Strategies against their closed forms.
#include <algorithm>

#include "tests/sim/simulations.h"

namespace rehearse {
namespace {

using testing::gpus;
using testing::played;
using testing::prices;
using testing::seconds;

constexpr double kInstant = 1e18;  // bytes per second of links that cost nothing

Plan plan_of(const StrategySpec& strategy, const ModelSpec& model, std::int64_t devices) {
  Result<Plan> plan = testing::plan_of({"", strategy, model, devices});
  EXPECT_TRUE(plan.ok()) << format(plan.errors());
  return *std::move(plan);
}

ModelSpec deep_mlp(std::int64_t hidden_layers) {
  return {"mlp",
          {{"image", {4, 4, 1}},
           {"hidden", std::vector<std::int64_t>(static_cast<std::size_t>(hidden_layers), 16)},
           {"classes", {16}}}};
}

struct PipelineCase {
  std::string schedule;
  std::int64_t stages, micro_batches;
};

class PipelineBubble : public ::testing::TestWithParam<PipelineCase> {};

// Huang et al. (GPipe, 2019), section 2.3; Narayanan et al. (2021), section 2.2: (p-1)/(m+p-1).
TEST_P(PipelineBubble, IsTheTextbooks) {
  const auto [schedule, stages, micro_batches] = GetParam();
  const Plan plan =
      plan_of(testing::pipeline(schedule, stages, micro_batches), deep_mlp(8), stages);
  const double forward = 1, backward = 2;
  const sim::Outcome outcome =
      played(plan, gpus(stages, kInstant), prices(plan, seconds(forward), seconds(backward)));
  const Breakdown breakdown = break_down(plan, outcome.timeline, 1);
  const auto p = static_cast<double>(stages), m = static_cast<double>(micro_batches);
  EXPECT_NEAR(breakdown.step_time.seconds(), (m + p - 1) * (forward + backward), 1e-9);
  EXPECT_NEAR(breakdown.bubble_fraction, (p - 1) / (m + p - 1), 1e-9);
  for (const RankTime& rank : breakdown.ranks) {
    EXPECT_NEAR(rank.compute.seconds(), m * (forward + backward), 1e-9);
    EXPECT_NEAR(rank.idle.seconds(), (p - 1) * (forward + backward), 1e-9);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, PipelineBubble,
                         ::testing::Values(PipelineCase{"gpipe", 2, 1}, PipelineCase{"gpipe", 4, 4},
                                           PipelineCase{"gpipe", 8, 16}, PipelineCase{"1f1b", 2, 1},
                                           PipelineCase{"1f1b", 4, 8}, PipelineCase{"1f1b", 8, 16}),
                         [](const auto& c) {
                           return fmt::format("{}_{}_stages_{}",
                                              c.param.schedule == "gpipe" ? "gpipe" : "one_f_one_b",
                                              c.param.stages, c.param.micro_batches);
                         });

class RingAllReduce : public ::testing::TestWithParam<std::int64_t> {};

// Patarasuk and Yuan (2009): 2 (n-1) steps of 1/n of the bytes, and of the latency.
TEST_P(RingAllReduce, TakesBandwidthAndLatencyInClosedForm) {
  const std::int64_t ranks = GetParam();
  const Plan plan = plan_of(testing::data_parallel("ddp", Bytes::gib(1)), deep_mlp(1), ranks);
  const double bandwidth = 1e6, latency = 1e-4;
  const sim::Outcome outcome = played(plan, gpus(ranks, bandwidth, latency), prices(plan, {}, {}));
  const double bytes = 4 * (16 * 16 + 16 + 16 * 16 + 16);  // 544 parameters: 16 divides them
  const auto n = static_cast<double>(ranks);
  const double expected = 2 * (n - 1) * (bytes / n / bandwidth + 2 * latency);
  EXPECT_NEAR(break_down(plan, outcome.timeline, 1).step_time.seconds() / expected, 1, 1e-9);
}

INSTANTIATE_TEST_SUITE_P(Ranks, RingAllReduce, ::testing::Values(2, 4, 8, 16));

// Backward hides all buckets but those it produces last.
TEST(Overlap, BucketsAreReducedBeneathBackward) {
  const Plan plan = plan_of(testing::data_parallel("ddp", Bytes::bytes(1)), deep_mlp(8), 4);
  const Prices costs = prices(plan, seconds(1), seconds(1));
  std::int64_t compute = 0, reductions = 0;
  for (const Op& op : plan.programs.front().ops) {
    compute += op.kind == OpKind::forward || op.kind == OpKind::backward ? 1 : 0;
    reductions += op.kind == OpKind::all_reduce ? 1 : 0;
  }
  ASSERT_GE(reductions, 4);
  const auto time_of = [&](double bandwidth) {
    return break_down(plan, played(plan, gpus(4, bandwidth), costs).timeline, 1);
  };
  const Breakdown free = time_of(kInstant), cheap = time_of(1e4);
  EXPECT_NEAR(free.step_time.seconds(), static_cast<double>(compute), 1e-9);
  const double exposed = cheap.step_time.seconds() - free.step_time.seconds();
  EXPECT_GT(exposed, 0) << "the last bucket has nothing to hide beneath";
  EXPECT_NEAR(cheap.ranks[0].exposed_communication.seconds(), exposed, 1e-9);
  double busy = 0;
  for (const Breakdown::KindTime& kind : cheap.kinds) {
    if (kind.kind == OpKind::all_reduce) busy = kind.busy.seconds();
  }
  EXPECT_LT(exposed, 0.5 * busy);
}

TEST(Simulate, SaysWhoWaitsForEver) {
  Plan plan = plan_of(testing::pipeline("gpipe", 2, 2), deep_mlp(2), 2);
  for (Op& op : plan.programs.back().ops) {
    if (op.kind == OpKind::receive) std::get<Transfer>(op.detail).tag += 100;
  }
  const Result<sim::Outcome> outcome =
      sim::simulate(plan, testing::built(gpus(2)), prices(plan, seconds(1), seconds(1)), 2);
  ASSERT_FALSE(outcome.ok());
  const std::string text = format(outcome.errors());
  EXPECT_NE(text.find("rank 0 waits in"), std::string::npos) << text;
  EXPECT_NE(text.find("rank 1 waits in"), std::string::npos) << text;
}

// Between synchronisations a step is its passes. The one that synchronises has a ring of 4 behind
// them: 6 times a quarter of the 272,186 weights of 4 bytes, rounded up, at 1 MB/s.
TEST(LocalSteps, SendWhenTheySynchronise) {
  const auto broken_down = [](bool synchronises) {
    const StrategySpec local = testing::local(testing::data_parallel("local", Bytes::mib(25)), 8,
                                              OuterOptimizer{}, synchronises);
    const Plan plan = plan_of(local, testing::resnet20(), 4);
    const auto outcome = played(plan, gpus(4, 1e6), prices(plan, seconds(1), seconds(2)));
    return break_down(plan, outcome.timeline, 1);
  };
  const Breakdown between = broken_down(false), last = broken_down(true);
  EXPECT_NEAR(between.step_time.seconds(), 3, 1e-9);
  EXPECT_NEAR(between.ranks[0].exposed_communication.seconds(), 0, 1e-9);
  const double ring = 6 * 68'047 * 4 / 1e6;
  EXPECT_NEAR(last.step_time.seconds(), 3 + ring, 1e-3);
  EXPECT_NEAR(last.ranks[0].exposed_communication.seconds(), ring, 1e-3);
}

// A GB over links of 1 GB/s: two that leave one rank share its link, those of a chain do not.
TEST(TransitionTime, IsThatOfTheBusiestLink) {
  const Cluster cluster = testing::built(gpus(3, 1e9));
  const auto time = [&](const std::vector<std::pair<std::uint32_t, std::uint32_t>>& pairs) {
    Transition transition;
    for (const auto& [from, to] : pairs)
      transition.moves.push_back({RankId(from), RankId(to), {}, {}, Bytes::bytes(1'000'000'000)});
    return sim::simulate(transition, cluster, cluster.device().messaging)->seconds();
  };
  EXPECT_EQ(time({}), 0);
  EXPECT_NEAR(time({{0, 1}}), 1, 1e-6);
  EXPECT_NEAR(time({{0, 1}, {0, 2}}), 2, 1e-6);
  EXPECT_NEAR(time({{0, 1}, {1, 2}, {2, 0}}), 1, 1e-6);
}

class EveryNetwork : public ::testing::TestWithParam<NetworkKindRow> {};

// Each rank sends a ring's chunks to the next one: no link of an example carries the messages of
// more ranks than there are, none is faster than an interconnect, and no route is longer than 8.
TEST_P(EveryNetwork, CarriesAnAllReduce) {
  const ClusterSpec spec = testing::example(GetParam().kind);
  const std::int64_t ranks = spec.nodes * spec.devices_per_node;
  const Plan plan = plan_of(testing::data_parallel("ddp", Bytes::gib(1)), deep_mlp(1), ranks);
  const sim::Outcome outcome = played(plan, spec, prices(plan, {}, {}));
  const double bytes = 4 * (16 * 16 + 16 + 16 * 16 + 16);  // 544 parameters: 32 divides them
  const auto n = static_cast<double>(ranks);
  const double time = break_down(plan, outcome.timeline, 1).step_time.seconds();
  EXPECT_GE(time, 2 * (n - 1) * bytes / n / testing::kNvlink.bandwidth.bytes_per_second());
  const double slowest = testing::kCable.bandwidth.bytes_per_second() / 2;  // oversubscribed
  const double hop = testing::kNvlink.latency.seconds();
  EXPECT_LE(time, 2 * (n - 1) * (n * bytes / n / slowest + 8 * hop));
  EXPECT_TRUE(std::any_of(outcome.link_bytes.begin(), outcome.link_bytes.end(),
                          [](Bytes carried) { return carried > Bytes{}; }));
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryNetwork, ::testing::ValuesIn(network_kinds()),
                         [](const auto& row) {
                           std::string name(to_string(row.param.kind));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// A GB over a crossbar of 1 GB/s takes 1 s, and 4 s over a link of a quarter of that, either end.
TEST(DegradedLink, IsTheTimeOfWhatCrossesIt) {
  const auto time = [](const std::string& link, std::uint32_t from, std::uint32_t to) {
    ClusterSpec spec = gpus(3, 1e9);
    spec.links = {{link, BytesPerSecond::gigabytes_per_second(0.25), std::nullopt, std::nullopt}};
    Transition transition;
    transition.moves.push_back({RankId(from), RankId(to), {}, {}, Bytes::bytes(1'000'000'000)});
    return sim::simulate(transition, testing::built(spec), spec.device.messaging)->seconds();
  };
  EXPECT_NEAR(time("node0->switch", 0, 1), 4, 1e-6);
  EXPECT_NEAR(time("node0->switch", 1, 0), 1, 1e-6);
  EXPECT_NEAR(time("node0--switch", 1, 0), 4, 1e-6);
  EXPECT_NEAR(time("node2--switch", 1, 0), 1, 1e-6);
}

}  // namespace
}  // namespace rehearse
