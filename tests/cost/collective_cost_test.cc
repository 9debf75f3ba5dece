#include "cost/collective_cost.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/cost/devices.h"

namespace rehearse {
namespace {

constexpr std::int64_t kElementBytes = 4;
const MessageCost kCost{Seconds::microseconds(5), Seconds::seconds(2e-10), Seconds::seconds(1e-10)};

// Plays the step lists on an idle network: a step begins when this member's last one and that of
// the member it receives from have ended, and ends when its message has arrived and is added.
Seconds played(std::size_t members, std::int64_t n,
               CollectiveAlgorithm algorithm = CollectiveAlgorithm::ring) {
  std::vector<std::vector<CollectiveStep>> lists;
  for (std::size_t m = 0; m < members; ++m)
    lists.push_back(steps_of({CollectiveKind::all_reduce, algorithm, members}, m, n));
  std::vector<Seconds> now(members);
  for (std::size_t s = 0; s < lists[0].size(); ++s) {
    const std::vector<Seconds> before = now;
    for (std::size_t m = 0; m < members; ++m) {
      const CollectiveStep& step = lists[m][s];
      if (step.receive.size() == 0) continue;
      const Bytes bytes = Bytes::bytes(step.receive.size() * kElementBytes);
      now[m] = std::max(before[m], before[step.from]) + send_seconds(kCost, bytes);
      if (step.reduce) now[m] += kCost.gamma_per_byte * static_cast<double>(bytes.bytes());
    }
  }
  return *std::max_element(now.begin(), now.end());
}

TEST(RingAllReduceSeconds, IsThePlayedStepList) {
  for (std::size_t members = 1; members <= 8; ++members) {
    const auto n = static_cast<std::int64_t>(840 * members);  // equal chunks
    EXPECT_NEAR(ring_all_reduce_seconds(kCost, members, n, kElementBytes).seconds(),
                played(members, n).seconds(), 1e-12)
        << members << " members";
  }
}

// 4 members, 1000 elements of 4 bytes: 6 messages of 1000 bytes, 3 of them added:
// 6 (5 us + 0.2 us) + 3 * 0.1 us = 31.5 us.
TEST(RingAllReduceSeconds, IsTheClosedForm) {
  EXPECT_NEAR(ring_all_reduce_seconds(kCost, 4, 1000, kElementBytes).seconds(), 31.5e-6, 1e-15);
}

// Steps of nothing take no time: those of members that wait for the ones beyond the power of two.
TEST(DoublingSeconds, IsThePlayedStepList) {
  constexpr auto kDoubling = CollectiveAlgorithm::doubling;
  for (std::size_t members = 1; members <= 11; ++members) {
    EXPECT_NEAR(all_reduce_seconds(kDoubling, kCost, members, 100, kElementBytes).seconds(),
                played(members, 100, kDoubling).seconds(), 1e-12)
        << members << " members";
  }
}

// Unequal chunks: the longest one is in some member's hands in every step.
TEST(RingAllReduceSeconds, BoundsUnequalChunks) {
  const double closed = ring_all_reduce_seconds(kCost, 4, 1001, kElementBytes).seconds();
  const double rounding = 1e-15;
  EXPECT_GE(closed, played(4, 1001).seconds() - rounding);
  EXPECT_LE(closed, played(4, 1004).seconds() + rounding);
}

TEST(RingAllReduceSeconds, IsNothingForOneOrForNothing) {
  EXPECT_EQ(ring_all_reduce_seconds(kCost, 1, 1000, kElementBytes), Seconds{});
  EXPECT_EQ(ring_all_reduce_seconds(kCost, 4, 0, kElementBytes), Seconds{});
}

Device cpu() {
  Device device = testing::simple_device();
  device.messaging = {Seconds::microseconds(1), Seconds::microseconds(2), Seconds::seconds(1e-10),
                      Seconds::seconds(3e-10), Seconds::seconds(5e-11)};
  return device;
}

const Path kNode{};
const Path kNetwork{Seconds::microseconds(10), BytesPerSecond::gigabytes_per_second(5)};

TEST(MessageCostOf, IsLimitedByTheSlowest) {
  // On one node: 1 us on the way and 2 us of both threads at once; the receiver's 0.3 ns per byte.
  const MessageCost node = message_cost(cpu(), kNode);
  EXPECT_NEAR(node.alpha.seconds(), 3e-6, 1e-18);
  EXPECT_NEAR(node.beta_per_byte.seconds(), 3e-10, 1e-22);
  EXPECT_EQ(node.gamma_per_byte, cpu().messaging.reduce_per_byte);
  // Over the network: 10 us more; 5 GB/s are 0.2 ns per byte, still less than 0.3.
  const MessageCost network = message_cost(cpu(), kNetwork);
  EXPECT_NEAR(network.alpha.seconds(), 13e-6, 1e-18);
  EXPECT_NEAR(network.beta_per_byte.seconds(), 3e-10, 1e-22);
  // Engines beside the GPU move the bytes: only the network limits them.
  Device gpu = cpu();
  gpu.kind = DeviceKind::gpu;
  EXPECT_NEAR(message_cost(gpu, kNetwork).beta_per_byte.seconds(), 2e-10, 1e-22);
  EXPECT_EQ(message_cost(gpu, kNode).beta_per_byte, Seconds{});
  // 1000 bytes: 13 us + 0.3 us.
  EXPECT_NEAR(send_seconds(network, Bytes::bytes(1000)).seconds(), 13.3e-6, 1e-15);
}

// Two threads on one core: each prepares for twice as long, and 0.1 + 0.3 ns per byte are in turn.
TEST(MessageCostOf, SharesCores) {
  Device device = cpu();
  device.capacity = {1.0};
  const MessageCost node = message_cost(device, kNode);
  EXPECT_NEAR(node.alpha.seconds(), 5e-6, 1e-18);
  EXPECT_NEAR(node.beta_per_byte.seconds(), 4e-10, 1e-22);
  // Between nodes each thread has its own.
  EXPECT_NEAR(message_cost(device, kNetwork).alpha.seconds(), 13e-6, 1e-18);
}

// Each thread prepares two messages and copies one way and the other; 4 threads on 2 cores take
// twice as long for it and for adding.
TEST(ExchangeCost, CountsBothDirections) {
  Device device = cpu();
  const MessageCost alone = exchange_cost(device, kNode, 4);
  EXPECT_NEAR(alone.alpha.seconds(), 5e-6, 1e-18);
  EXPECT_NEAR(alone.beta_per_byte.seconds(), 4e-10, 1e-22);
  device.capacity = {1.0, 2.0};
  const MessageCost shared = exchange_cost(device, kNode, 4);
  EXPECT_NEAR(shared.alpha.seconds(), 9e-6, 1e-18);
  EXPECT_NEAR(shared.beta_per_byte.seconds(), 8e-10, 1e-22);
  EXPECT_NEAR(shared.gamma_per_byte.seconds(), 1e-10, 1e-22);
  EXPECT_EQ(exchange_cost(device, kNode, 2).beta_per_byte, alone.beta_per_byte);
}

}  // namespace
}  // namespace rehearse
