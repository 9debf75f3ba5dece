#include "sim/machine.h"

#include <gtest/gtest.h>

#include "tests/sim/simulations.h"

namespace rehearse::sim {
namespace {

using rehearse::testing::built;
using rehearse::testing::cpu_node;
using rehearse::testing::crossbar;
using rehearse::testing::fat_tree;
using rehearse::testing::gpus;
using rehearse::testing::seconds;

// A machine, and the times at which things were done.
class MachineTest : public ::testing::Test {
 protected:
  void use(const ClusterSpec& spec, const Messaging& messaging = {}) {
    cluster_.emplace(built(spec));
    machine_.emplace(*cluster_, messaging, engine_);
  }
  Machine::Done note(double& when) {
    return [&when, this] { when = engine_.now().seconds().seconds(); };
  }
  void at(double time, Engine::Action action) {
    engine_.schedule(Time::from(seconds(time)), std::move(action));
  }
  void compute(int rank, const OpPrice& price, double& when) {
    machine_->compute(RankId(rank), price, 1, note(when));
  }
  void transfer(int from, int to, std::int64_t bytes, double& when) {
    machine_->transfer(RankId(from), RankId(to), Bytes::bytes(bytes), note(when));
  }
  void run() {
    engine_.run([this] { machine_->settle(); });
  }
  static OpPrice price(double s, std::int64_t traffic = 0) {
    return {seconds(s), Bytes::bytes(traffic), {}, {}};
  }

  Engine engine_;
  std::optional<Cluster> cluster_;
  std::optional<Machine> machine_;
};

constexpr double kTick = 2e-12;  // of the clock, for rounding

TEST_F(MachineTest, GpusComputeBesideEachOther) {
  use(gpus(2));
  const OpPrice one = price(1), two = price(2);
  double a = 0, b = 0;
  compute(0, one, a), compute(1, two, b);
  run();
  EXPECT_NEAR(a, 1, kTick);
  EXPECT_NEAR(b, 2, kTick);
}

TEST_F(MachineTest, FourRanksOnTwoCoresTakeTwiceAsLong) {
  use(cpu_node(4, {1, 2}));
  const OpPrice one = price(1);
  std::array<double, 4> ends{};
  for (int r = 0; r < 4; ++r)
    compute(r, one, ends[static_cast<std::size_t>(r)]);
  run();
  for (const double end : ends)
    EXPECT_NEAR(end, 2, kTick);
}

// One of four has half the work: until it ends at 1 s each has run at 1/2; then three share two
// cores.
TEST_F(MachineTest, AnIdleRankGivesItsCoreAway) {
  use(cpu_node(4, {1, 2}));
  const OpPrice one = price(1), half = price(0.5);
  std::array<double, 4> ends{};
  for (int r = 0; r < 4; ++r)
    compute(r, r == 0 ? half : one, ends[static_cast<std::size_t>(r)]);
  run();
  EXPECT_NEAR(ends[0], 1, kTick);
  for (int r = 1; r < 4; ++r)
    EXPECT_NEAR(ends[static_cast<std::size_t>(r)], 1.75, kTick);
}

// What k busy ranks do together is what was measured, not min(k, cores).
TEST_F(MachineTest, TheContentionCurveIsTheMeasuredOne) {
  for (const auto& [ranks, expected] :
       {std::pair(1, 1.0), std::pair(2, 2 / 1.6), std::pair(3, 3 / 1.8), std::pair(4, 4 / 1.8)}) {
    engine_ = Engine();
    use(cpu_node(4, {1, 1.6, 1.8}));
    const OpPrice one = price(1);
    double end = 0;
    for (int r = 0; r < ranks; ++r)
      compute(r, one, end);
    run();
    EXPECT_NEAR(end, expected, kTick) << ranks << " ranks";
  }
}

// Each draws 8 of the node's 10 GB/s alone.
TEST_F(MachineTest, RanksShareTheNodesMemory) {
  use(cpu_node(2, {}));
  const OpPrice streaming = price(1, 8'000'000'000), counting = price(1);
  double a = 0, b = 0;
  compute(0, streaming, a), compute(1, streaming, b);
  run();
  EXPECT_NEAR(a, 1.6, kTick);
  EXPECT_NEAR(b, 1.6, kTick);
  engine_ = Engine();
  use(cpu_node(2, {}));
  compute(0, streaming, a), compute(1, counting, b);
  run();
  EXPECT_NEAR(a, 1, kTick) << "the other one needs no memory";
}

TEST_F(MachineTest, AMessageTakesLatencyAndBytes) {
  use(gpus(2, 1e9, 1e-3));
  double end = 0;
  transfer(0, 1, 500'000'000, end);
  run();
  EXPECT_NEAR(end, 2e-3 + 0.5, kTick) << "two links' latencies, one bottleneck";
}

TEST_F(MachineTest, MessagesShareALink) {
  use(gpus(3, 1e9));
  double a = 0, b = 0;
  transfer(0, 2, 1'000'000'000, a), transfer(1, 2, 1'000'000'000, b);
  run();
  EXPECT_NEAR(a, 2, kTick) << "both go down the link of node 2";
  EXPECT_NEAR(b, 2, kTick);
}

TEST_F(MachineTest, TheShorterMessageLeavesTheLinkToTheLonger) {
  use(gpus(3, 1e9));
  double a = 0, b = 0;
  transfer(0, 2, 500'000'000, a), transfer(1, 2, 1'000'000'000, b);
  run();
  EXPECT_NEAR(a, 1, kTick);
  EXPECT_NEAR(b, 1.5, kTick);
}

TEST_F(MachineTest, LinksWorkInBothDirectionsAtOnce) {
  use(gpus(2, 1e9));
  double a = 0, b = 0;
  transfer(0, 1, 1'000'000'000, a), transfer(1, 0, 1'000'000'000, b);
  run();
  EXPECT_NEAR(a, 1, kTick);
  EXPECT_NEAR(b, 1, kTick);
}

// Four nodes of a leaf send to four of another one through half of their bandwidth.
TEST_F(MachineTest, AnOversubscribedTreeIsSlowerByThatMuch) {
  ClusterSpec spec = fat_tree(8, 4, 2);
  spec.network.link = {BytesPerSecond::bytes_per_second(1e9), Seconds{}};
  use(spec);
  std::array<double, 4> ends{};
  for (int n = 0; n < 4; ++n)
    transfer(n, n + 4, 1'000'000'000, ends[static_cast<std::size_t>(n)]);
  run();
  for (const double end : ends)
    EXPECT_NEAR(end, 2, kTick);
}

// A CPU rank's thread computes and copies: both take longer together.
TEST_F(MachineTest, AMessageTakesTheThreadsTime) {
  Messaging messaging;
  messaging.receive_per_byte = seconds(1e-9);
  use(cpu_node(2, {1, 2}), messaging);
  const OpPrice one = price(1);
  double computed = 0, sent = 0;
  compute(1, one, computed);
  transfer(0, 1, 1'000'000'000, sent);
  run();
  EXPECT_NEAR(computed, 2, kTick);
  EXPECT_NEAR(sent, 2, kTick);
}

// Kernels of 1 and 3 s: a moment at random falls into them with odds 1 : 3 and then waits 1/2 or
// 3/2 s on average, 5/4 s in all.
TEST_F(MachineTest, AComputingRankLooksAfterMessagesBetweenKernels) {
  use(cpu_node(2, {1, 2}));
  OpPrice op = price(4);
  op.kernels = {seconds(1), seconds(3)};
  double end = 0, early = 0, late = 0, idle = 0, after = 0;
  compute(0, op, end);
  at(0.5, [&] { machine_->attend(RankId(0), note(early)); });
  at(3.5, [&] { machine_->attend(RankId(0), note(late)); });
  at(0.5, [&] { machine_->attend(RankId(1), note(idle)); });
  at(5, [&] { machine_->attend(RankId(0), note(after)); });
  run();
  EXPECT_NEAR(end, 4, kTick) << "looking takes no time";
  EXPECT_NEAR(early, 1.75, kTick);
  EXPECT_NEAR(late, 4, kTick) << "at the op's end at the latest";
  EXPECT_NEAR(idle, 0.5, kTick);
  EXPECT_NEAR(after, 5, kTick);
}

TEST_F(MachineTest, TheWaitForAKernelIsLongerOnASharedCore) {
  use(cpu_node(2, {1, 1}));
  OpPrice op = price(4);
  op.kernels = {seconds(2), seconds(2)};
  double end = 0, other = 0, called = 0;
  compute(0, op, end), compute(1, op, other);
  at(2, [&] { machine_->attend(RankId(0), note(called)); });
  run();
  EXPECT_NEAR(end, 8, kTick);
  EXPECT_NEAR(called, 4, kTick) << "1 s of work at half the speed";
}

TEST_F(MachineTest, CountsTheBytesOfEveryLink) {
  use(gpus(3));
  double end = 0;
  transfer(0, 1, 100, end), transfer(2, 1, 10, end);
  run();
  std::int64_t sum = 0;
  for (const Bytes bytes : machine_->link_bytes())
    sum += bytes.bytes();
  EXPECT_EQ(sum, 220) << "two links each";
}

// A rank at half its device's speed takes twice as long; at twice it, half.
TEST_F(MachineTest, SpeedsAreOfTheRank) {
  ClusterSpec spec = gpus(3);
  spec.ranks = {{{RankId(1)}, {}, 0.5}, {{RankId(2)}, {}, 2}};
  use(spec);
  const OpPrice one = price(1);
  double usual = 0, slow = 0, quick = 0;
  compute(0, one, usual), compute(1, one, slow), compute(2, one, quick);
  run();
  EXPECT_NEAR(usual, 1, kTick);
  EXPECT_NEAR(slow, 2, kTick);
  EXPECT_NEAR(quick, 0.5, kTick);
}

// Two ranks of one core: alone each would take 1 s and 2 s of it. Both have half a core until the
// first has done its second of work, at 2 s; the second has done 1 s of its 2 then and has the core
// alone.
TEST_F(MachineTest, SpeedsAreOfTheRankWhereRanksShareCores) {
  ClusterSpec spec = cpu_node(2, {1});
  spec.ranks = {{{RankId(1)}, {}, 0.5}};
  use(spec);
  const OpPrice one = price(1);
  double usual = 0, slow = 0;
  compute(0, one, usual), compute(1, one, slow);
  run();
  EXPECT_NEAR(usual, 2, kTick);
  EXPECT_NEAR(slow, 3, kTick);
}

// Computing loses a quarter of its speed while a message of the rank's is under way: 1 GB at 1 GB/s
// for the first second. What is left of 2 s of work is 2 - 0.75, so it ends at 2.25 s; the third
// rank has no message.
TEST_F(MachineTest, MessagesSlowComputingDown) {
  ClusterSpec spec = gpus(3);
  spec.device.overlap_slowdown = 0.25;
  use(spec);
  const OpPrice two = price(2);
  double sender = 0, receiver = 0, other = 0, arrived = 0;
  compute(0, two, sender), compute(1, two, receiver), compute(2, two, other);
  transfer(0, 1, 1'000'000'000, arrived);
  run();
  EXPECT_NEAR(arrived, 1, kTick);
  EXPECT_NEAR(sender, 2.25, kTick);
  EXPECT_NEAR(receiver, 2.25, kTick);
  EXPECT_NEAR(other, 2, kTick);
}

// A message of 1 MB reaches half of the bandwidth alone, and the other half is left to another; one
// of 4 MB all of it. In between: half way in the logarithm, so three quarters with 2 MB.
TEST_F(MachineTest, SmallMessagesReachAShareOfTheBandwidth) {
  ClusterSpec spec = gpus(3, 1e9);
  spec.network.link.efficiency = {{Bytes::bytes(1'000'000), 0.5}, {Bytes::bytes(4'000'000), 1}};
  for (const auto& [bytes, time] :
       {std::pair(500'000, 1e-3), {1'000'000, 2e-3}, {2'000'000, 2e-3 / 0.75}, {8'000'000, 8e-3}}) {
    use(spec);
    double arrived = 0;
    const double begin = engine_.now().seconds().seconds();
    transfer(0, 1, bytes, arrived);
    run();
    EXPECT_NEAR(arrived - begin, time, 1e-9 * time) << bytes;
  }
  use(spec);
  double first = 0, second = 0;
  const double begin = engine_.now().seconds().seconds();
  transfer(0, 1, 1'000'000, first), transfer(2, 1, 1'000'000, second);
  run();
  EXPECT_NEAR(first - begin, 2e-3, 1e-9) << "two halves of one link";
  EXPECT_NEAR(second - begin, 2e-3, 1e-9);
}

}  // namespace
}  // namespace rehearse::sim
