// Collectives as they are played, against their closed forms.
#include <bit>

#include "cost/collective_cost.h"
#include "tests/sim/simulations.h"

namespace rehearse {
namespace {

constexpr double kBandwidth = 1e9, kLatency = 1e-6, kAdding = 1e-10;

// A plan in which all ranks reduce so many elements of 4 bytes once, by this algorithm.
Plan one_reduction(const CollectiveShape& shape, std::int64_t n) {
  Result<Plan> plan = testing::plan_of({"", testing::data_parallel("ddp", Bytes::gib(1)),
                                        testing::mlp(), static_cast<std::int64_t>(shape.members)},
                                       static_cast<std::int64_t>(shape.members));
  EXPECT_TRUE(plan.ok()) << format(plan.errors());
  for (Op& op : plan->programs.front().ops) {
    if (op.kind != OpKind::all_reduce) continue;
    auto& detail = std::get<Collective>(op.detail);
    detail.begin = 0, detail.end = n;
    detail.algorithm = shape.algorithm;
    detail.node_members = static_cast<std::int64_t>(shape.node_members);
    detail.pieces = static_cast<std::int64_t>(shape.pieces);
  }
  return *std::move(plan);
}

double played_seconds(const CollectiveShape& shape, std::int64_t n, const ClusterSpec& spec,
                      double adding, Fidelity fidelity = Fidelity::stepwise) {
  const Plan plan = one_reduction(shape, n);
  Prices prices = testing::prices(plan, {}, {});
  prices.messaging.reduce_per_byte = Seconds::seconds(adding);
  const auto outcome = sim::simulate(plan, testing::built(spec), prices, 2, fidelity).value();
  return break_down(plan, outcome.timeline, 1).step_time.seconds();
}

class CollectiveTimes : public ::testing::TestWithParam<CollectiveShape> {
 protected:
  // Each step is above what is played by the rounding of its range (to whole chunks of chunks, and
  // of two channels), a double tree by the steps that collective_cost.h says.
  static double slack(const CollectiveShape& shape, std::int64_t n) {
    const double element = 4 * (1 / kBandwidth + kAdding);
    const auto steps = static_cast<double>(step_count(shape));
    const double rounding = 2 * steps * element;
    const auto c = static_cast<std::int64_t>(shape.members);
    // Where chunks differ, two channels drift apart, and one may have the link to itself.
    if (channel_count(shape) == 2 && n % (2 * c) != 0)
      return rounding + steps * static_cast<double>((n + c - 1) / c) / 2 * element;
    if (shape.algorithm != CollectiveAlgorithm::double_tree) return rounding;
    const auto height = static_cast<double>(std::bit_width(shape.members)) - 1;
    const auto pieces = static_cast<std::int64_t>(shape.pieces);
    const auto piece = static_cast<double>((n - n / 2 + pieces - 1) / pieces);
    return rounding + 4 * (height - 1) * (2 * kLatency + piece * element);
  }
};

// GPUs under one switch, with a link each: two hops, and 2 (c - 1) / c n bytes or more over it.
TEST_P(CollectiveTimes, AreTheClosedFormsOnAnIdleNetwork) {
  for (std::size_t members = 2; members <= 33; ++members) {
    CollectiveShape shape = GetParam();
    shape.members = members;
    if (refusal_of(shape)) continue;
    // The two channels of a bidirectional ring add at the same time, on engines of their own.
    const bool two = channel_count(shape) == 2;
    const double adding = two ? 0 : kAdding;
    const MessageCost cost{Seconds::seconds(2 * kLatency), Seconds::seconds(1 / kBandwidth),
                           Seconds::seconds(adding)};
    const auto c = static_cast<std::int64_t>(members);
    for (const std::int64_t n : {c + 19, 61 * c + 1, 64 * c}) {
      const double closed = collective_seconds(shape, cost, n, 4).seconds();
      const double seconds =
          played_seconds(shape, n, testing::gpus(c, kBandwidth, kLatency), adding);
      const double clock = static_cast<double>(3 * step_count(shape)) * 1e-12;
      EXPECT_LE(seconds, closed + clock) << members << " members, " << n << " elements";
      EXPECT_GE(seconds, closed - slack(shape, n) - clock)
          << members << " members, " << n << " elements";
    }
  }
}

// All messages at once, after all latencies: no more than step by step, and as much where every
// member has as much to do in every step and chunks are alike.
TEST_P(CollectiveTimes, AreTheSameAsAFluid) {
  for (std::size_t members = 2; members <= 16; ++members) {
    CollectiveShape shape = GetParam();
    shape.members = members;
    if (refusal_of(shape)) continue;
    const double adding = channel_count(shape) == 2 ? 0 : kAdding;
    const auto c = static_cast<std::int64_t>(members);
    const ClusterSpec spec = testing::gpus(c, kBandwidth, kLatency);
    const std::int64_t n = 64 * 2 * c;
    const double stepwise = played_seconds(shape, n, spec, adding);
    const double fluid = played_seconds(shape, n, spec, adding, Fidelity::fluid);
    const double clock = static_cast<double>(3 * step_count(shape)) * 1e-12;
    EXPECT_LE(fluid, stepwise + clock) << members << " members";
    using enum CollectiveAlgorithm;
    const bool is_power = std::has_single_bit(members);
    const bool is_even = shape.algorithm == ring || shape.algorithm == pairwise ||
                         shape.algorithm == bidirectional_ring || shape.algorithm == hierarchical ||
                         (is_power && shape.algorithm != double_tree);
    if (is_even) {
      EXPECT_NEAR(fluid, stepwise, clock) << members << " members";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Algorithms, CollectiveTimes, ::testing::ValuesIn([] {
      using enum CollectiveAlgorithm;
      std::vector<CollectiveShape> shapes;
      for (const auto algorithm : {ring, pairwise, doubling, bidirectional_ring, halving_doubling})
        shapes.push_back({CollectiveKind::all_reduce, algorithm});
      for (const std::size_t node_members : {1, 2, 3})
        shapes.push_back({CollectiveKind::all_reduce, hierarchical, 1, 0, node_members});
      for (const std::size_t pieces : {1, 2, 7})
        shapes.push_back({CollectiveKind::all_reduce, double_tree, 1, 0, 1, pieces});
      return shapes;
    }()),
    [](const auto& info) {
      std::string name(to_string(info.param.algorithm));
      std::replace(name.begin(), name.end(), '-', '_');
      return fmt::format("{}_{}_{}", name, info.param.node_members, info.param.pieces);
    });

// 3 nodes of 4 with NVLink between neighbours: what goes between nodes shares the node's link with
// its neighbours' messages.
TEST(HierarchicalTimes, AreTheClosedFormOfTwoLevels) {
  const CollectiveShape shape{CollectiveKind::all_reduce, CollectiveAlgorithm::hierarchical, 12, 0,
                              4};
  ClusterSpec spec = testing::with_interconnect(testing::crossbar(3, 4));
  const Cluster cluster = testing::built(spec);
  const auto cost_to = [&](std::int64_t rank) {
    MessageCost cost{{}, {}, Seconds::seconds(kAdding)};
    for (const LinkId id : cluster.route(RankId(0), RankId(rank))) {
      const Link& link = cluster.links()[id.index()];
      cost.alpha += link.latency;
      cost.beta_per_byte = std::max(cost.beta_per_byte, Bytes::bytes(1) / link.bandwidth);
    }
    return cost;
  };
  const std::int64_t n = 12 * 1000;
  const double closed =
      collective_seconds(shape, LevelCosts{cost_to(1), cost_to(11)}, n, 4).seconds();
  EXPECT_NEAR(played_seconds(shape, n, spec, kAdding) / closed, 1, 1e-6);
}

// Every member's n elements go up while the sums come down: once over each link, whatever the
// number of members.
TEST(InNetwork, TakesOneMessageOverEveryLink) {
  const std::int64_t n = 1'000'000;
  for (const std::size_t members : {2U, 5U, 16U}) {
    const CollectiveShape shape{CollectiveKind::all_reduce, CollectiveAlgorithm::in_network,
                                members};
    const MessageCost cost{Seconds::seconds(2 * kLatency), Seconds::seconds(1 / kBandwidth), {}};
    const double closed = collective_seconds(shape, cost, n, 4).seconds();
    const auto c = static_cast<std::int64_t>(members);
    for (const Fidelity fidelity : {Fidelity::stepwise, Fidelity::fluid}) {
      EXPECT_NEAR(played_seconds(shape, n, testing::gpus(c, kBandwidth, kLatency), 0, fidelity),
                  closed, 1e-11)
          << members;
    }
  }
}

// A node's own switch adds for whoever asks: each of the G members loads the sums of its part and
// stores them to all, so that (1 + 1/G) n goes over each link, each way, at the rate at which the
// switch adds. 8 members, 3.5 MB: 2 latencies and 9/8 x 3.5 MB at 0.8 of the rate.
TEST(InNetwork, AsksTheSwitchOfItsNode) {
  const CollectiveShape shape{CollectiveKind::all_reduce, CollectiveAlgorithm::in_network, 8};
  ClusterSpec spec = testing::single_node(8);
  spec.interconnect =
      LinkSpec{BytesPerSecond::bytes_per_second(kBandwidth), Seconds::seconds(kLatency), {}, 0.8};
  const std::int64_t n = 875'000;
  const double expected = 2 * kLatency + 9.0 / 8 * 3.5e6 / (0.8 * kBandwidth);
  for (const Fidelity fidelity : {Fidelity::stepwise, Fidelity::fluid, Fidelity::closed_form})
    EXPECT_NEAR(played_seconds(shape, n, spec, 0, fidelity), expected, 1e-11);
}

TEST(InNetwork, NeedsASwitch) {
  const Plan plan =
      one_reduction({CollectiveKind::all_reduce, CollectiveAlgorithm::in_network, 4}, 100);
  const auto outcome = sim::simulate(plan, testing::built(testing::cpu_node(4, {4})),
                                     testing::prices(plan, {}, {}), 2);
  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(format(outcome.errors()).find("there is no switch between ranks 0 and 1"),
            std::string::npos)
      << format(outcome.errors());
}

// Seconds of an all-reduce by ring of 4 on GPUs with such messaging, the same in all fidelities.
double ring_of_four(std::int64_t n, const Messaging& messaging) {
  const CollectiveShape shape{CollectiveKind::all_reduce, CollectiveAlgorithm::ring, 4};
  const Plan plan = one_reduction(shape, n);
  Prices prices = testing::prices(plan, {}, {});
  prices.messaging = messaging;
  std::vector<double> seconds;
  for (const Fidelity fidelity : {Fidelity::stepwise, Fidelity::fluid, Fidelity::closed_form}) {
    const auto outcome = sim::simulate(plan, testing::built(testing::gpus(4, kBandwidth, kLatency)),
                                       prices, 2, fidelity);
    seconds.push_back(break_down(plan, outcome.value().timeline, 1).step_time.seconds());
    EXPECT_NEAR(seconds.back(), seconds.front(), 1e-11);
  }
  return seconds.front();
}

// The closed form of the same, by each way to send.
double closed_ring_of_four(std::int64_t n, const Messaging& messaging,
                           const MessageProtocol* protocol) {
  const CollectiveShape shape{CollectiveKind::all_reduce, CollectiveAlgorithm::ring, 4};
  Device device;
  device.messaging = messaging;
  const Path path{Seconds::seconds(2 * kLatency), BytesPerSecond::bytes_per_second(kBandwidth)};
  const MessageCost cost = exchange_cost(device, path, 1, protocol);
  return (start_seconds(device, shape, n, 4, protocol) + collective_seconds(shape, cost, n, 4))
      .seconds();
}

// 4 chunks of 1 MB: 50 us to start, 1 MB that a kernel passes over at 2 GB/s, and 6 steps.
TEST(FirstRange, IsPassedOverBeforeAnythingIsSent) {
  Messaging messaging;
  messaging.collective = Seconds::microseconds(50);
  messaging.first_per_byte = Seconds::seconds(0.5e-9);
  const std::int64_t n = 1'000'000;
  const double expected = 50e-6 + 0.5e-3 + 6 * (2 * kLatency + 1e6 / kBandwidth);
  EXPECT_NEAR(ring_of_four(n, messaging), expected, 1e-11);
  EXPECT_NEAR(closed_ring_of_four(n, messaging, nullptr), expected, 1e-15);
}

// A protocol with a quarter of the latencies and of the rate, and 10 us to start instead of 50:
// 4 chunks of b bytes take 10 + 3 us + 6 b / 250 MB/s, or 50 + 12 us + 6 b / 1 GB/s, so that up to
// b = 49 us x 1 GB/s / 18 = 2722 bytes it is faster, and from then on the other way is.
TEST(Protocols, AreTakenWhereTheyAreFaster) {
  Messaging messaging;
  messaging.collective = Seconds::microseconds(50);
  messaging.protocols = {{Seconds::microseconds(10), 0.25, 0.25}};
  const MessageProtocol* protocol = &messaging.protocols.front();
  EXPECT_NEAR(ring_of_four(2000, messaging), 13e-6 + 6 * 2000 / (0.25 * kBandwidth), 1e-11);
  EXPECT_NEAR(ring_of_four(4000, messaging), 62e-6 + 6 * 4000 / kBandwidth, 1e-11);
  double before = 0;
  for (std::int64_t n = 2600; n < 2800; n += 20) {
    const double seconds = ring_of_four(n, messaging);
    EXPECT_NEAR(seconds,
                std::min(closed_ring_of_four(n, messaging, protocol),
                         closed_ring_of_four(n, messaging, nullptr)),
                1e-11);
    EXPECT_GT(seconds, before);
    before = seconds;
  }
}

// Alone it takes what the fluid takes, whatever the machine: CPUs' threads and cores, links that
// small messages do not fill, nodes with an adapter for all. Links count the same bytes in every
// fidelity.
TEST(ClosedForm, IsTheFluidAlone) {
  ClusterSpec curved = testing::gpus(4);
  curved.network.link.efficiency = {{Bytes::bytes(100), 0.2}, {Bytes::bytes(100'000), 1}};
  ClusterSpec cpus = testing::cpu_node(4, {1, 1.8});
  cpus.device.messaging = {Seconds::microseconds(2), Seconds::microseconds(1),
                           Seconds::seconds(1e-10), Seconds::seconds(2e-10),
                           Seconds::seconds(1e-10)};
  const ClusterSpec shared =
      testing::with_nics(testing::with_interconnect(testing::crossbar(2, 2)), 1);
  using enum CollectiveAlgorithm;
  for (const ClusterSpec& spec : {testing::gpus(4), curved, cpus, shared}) {
    for (const auto algorithm : {ring, doubling, halving_doubling, pairwise, bidirectional_ring}) {
      const Plan plan = one_reduction({CollectiveKind::all_reduce, algorithm, 4}, 4000);
      Prices prices = testing::prices(plan, {}, {});
      prices.messaging = spec.device.messaging;
      const Cluster cluster = testing::built(spec);
      const auto play = [&](Fidelity fidelity) {
        return sim::simulate(plan, cluster, prices, 2, fidelity).value();
      };
      const auto closed = play(Fidelity::closed_form), fluid = play(Fidelity::fluid),
                 stepwise = play(Fidelity::stepwise);
      const auto step_time = [&](const sim::Outcome& outcome) {
        return break_down(plan, outcome.timeline, 1).step_time.seconds();
      };
      EXPECT_NEAR(step_time(closed), step_time(fluid), 1e-11) << to_string(algorithm);
      EXPECT_EQ(closed.link_bytes, stepwise.link_bytes);
      EXPECT_EQ(fluid.link_bytes, stepwise.link_bytes);
      EXPECT_EQ(closed.sent, stepwise.sent);
      EXPECT_EQ(closed.received, stepwise.received);
    }
  }
}

}  // namespace
}  // namespace rehearse
