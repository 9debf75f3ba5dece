#include "cost/collective_cost.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "tests/cost/devices.h"

namespace rehearse {
namespace {

constexpr std::int64_t kElementBytes = 4;
const MessageCost kCost{Seconds::microseconds(5), Seconds::seconds(2e-10), Seconds::seconds(1e-10)};

// Plays the step lists on an idle network: a step begins when this member's last one and that of
// the member it receives from have ended, and ends when its message has arrived and is added. Who
// has nothing to send or to receive does not wait.
Seconds played(const CollectiveShape& shape, std::int64_t n) {
  const std::size_t members = shape.members;
  std::vector<std::vector<CollectiveStep>> lists;
  for (std::size_t m = 0; m < members; ++m)
    lists.push_back(steps_of(shape, m, n));
  std::vector<Seconds> now(members);
  for (std::size_t s = 0; s < lists[0].size(); ++s) {
    const std::vector<Seconds> before = now;
    for (std::size_t m = 0; m < members; ++m) {
      const CollectiveStep& step = lists[m][s];
      if (step.receive.size() == 0) continue;
      const Bytes bytes = Bytes::bytes(step.receive.size() * kElementBytes);
      const Seconds arrived = std::max(before[m], before[step.from]) + send_seconds(kCost, bytes);
      now[step.from] = std::max(now[step.from], arrived);
      now[m] = std::max(now[m], arrived);
      if (step.reduce)
        now[m] =
            std::max(now[m], arrived + kCost.gamma_per_byte * static_cast<double>(bytes.bytes()));
    }
  }
  return *std::max_element(now.begin(), now.end());
}

Seconds played(std::size_t members, std::int64_t n) {
  return played({CollectiveKind::all_reduce, CollectiveAlgorithm::ring, members}, n);
}

std::vector<CollectiveShape> shapes(std::size_t members) {
  using enum CollectiveAlgorithm;
  std::vector<CollectiveShape> shapes;
  for (const auto kind :
       {CollectiveKind::all_reduce, CollectiveKind::reduce_scatter, CollectiveKind::all_gather}) {
    for (const auto algorithm : {ring, pairwise, doubling, halving_doubling})
      shapes.push_back({kind, algorithm, members});
    for (std::size_t node_members = 1; node_members <= members; ++node_members)
      shapes.push_back({kind, hierarchical, members, 0, node_members});
    for (const std::size_t pieces : {1, 3, 8})
      shapes.push_back({kind, double_tree, members, 0, 1, pieces});
  }
  for (std::size_t sources = 1; sources < members; ++sources)
    shapes.push_back({CollectiveKind::broadcast, ring, members, sources});
  std::erase_if(shapes, [](const CollectiveShape& shape) { return refusal_of(shape).has_value(); });
  return shapes;
}

// Elements by which a step's longest range is longer than another's: chunks of chunks round twice.
constexpr std::int64_t kRounding = 2;

// Closed forms count a step's longest range. What a double tree may take less: collective_cost.h.
double slack(const CollectiveShape& shape, std::int64_t n) {
  const MessageCost free{{}, kCost.beta_per_byte, kCost.gamma_per_byte};
  const double element = send_seconds(free, Bytes::bytes(kElementBytes)).seconds() +
                         kCost.gamma_per_byte.seconds() * kElementBytes;
  double rounding = static_cast<double>(step_count(shape) * kRounding) * element;
  if (shape.algorithm != CollectiveAlgorithm::double_tree) return rounding;
  const auto height = static_cast<double>(std::bit_width(shape.members)) - 1;
  const auto pieces = static_cast<std::int64_t>(shape.pieces);
  const std::int64_t piece = (n - n / 2 + pieces - 1) / pieces;
  return rounding +
         4 * (height - 1) * (kCost.alpha.seconds() + static_cast<double>(piece) * element);
}

// Every member has something in every step: more elements than members, and than pieces.
TEST(CollectiveSeconds, IsThePlayedStepList) {
  for (std::size_t members = 2; members <= 33; ++members) {
    const auto c = static_cast<std::int64_t>(members);
    for (const CollectiveShape& shape : shapes(members)) {
      for (const std::int64_t n : {c + 16, 1009 * c, c * c * 32}) {
        const double closed = collective_seconds(shape, kCost, n, kElementBytes).seconds();
        const double list = played(shape, n).seconds();
        EXPECT_LE(list, closed * (1 + 1e-12)) << to_string(shape.algorithm) << ' ' << members;
        EXPECT_GE(list, closed - slack(shape, n) - 1e-12 * closed)
            << to_string(shape.algorithm) << ' ' << to_string(shape.kind) << ' ' << members << ' '
            << n << " elements, " << shape.pieces << " pieces, nodes of " << shape.node_members;
      }
    }
  }
}

// Where all ranges of a step are as long, there is nothing to round.
TEST(CollectiveSeconds, IsExactWhereMembersDivideElements) {
  using enum CollectiveAlgorithm;
  for (std::size_t members = 2; members <= 32; ++members) {
    const auto c = static_cast<std::int64_t>(members);
    for (const CollectiveShape& shape : shapes(members)) {
      if (shape.algorithm == double_tree) continue;
      if (shape.kind == CollectiveKind::broadcast) continue;
      const std::int64_t n = 32 * c * c;  // also for halves of those within a power of two
      const double closed = collective_seconds(shape, kCost, n, kElementBytes).seconds();
      EXPECT_NEAR(played(shape, n).seconds() / closed, 1, 1e-12)
          << to_string(shape.algorithm) << ' ' << to_string(shape.kind) << ' ' << members;
    }
  }
}

// 4 members, 1000 elements of 4 bytes, alpha 5 us, beta 0.2 and gamma 0.1 ns per byte. Halves of
// 2000 and 1000 bytes there and back: 4 alpha + 6000 beta + 3000 gamma. A tree of height 2 in 2
// pieces of 1000 bytes: 2 (2 + 4) steps of alpha + 1000 beta, 6 of them with 1000 gamma. In pairs:
// 2 (alpha + 2000 beta) + 2000 gamma inside, and the same between pairs with half of it, which two
// send at once. In the network: alpha + 4000 beta.
TEST(CollectiveSeconds, IsWhatThePapersSay) {
  using enum CollectiveAlgorithm;
  const auto micro = [](CollectiveAlgorithm algorithm, const LevelCosts& costs,
                        std::size_t node_members, std::size_t pieces) {
    return 1e6 *
           collective_seconds({CollectiveKind::all_reduce, algorithm, 4, 0, node_members, pieces},
                              costs, 1000, kElementBytes)
               .seconds();
  };
  const LevelCosts alike{kCost, kCost};
  EXPECT_NEAR(micro(halving_doubling, alike, 1, 1), 20 + 1.2 + 0.3, 1e-9);
  EXPECT_NEAR(micro(double_tree, alike, 1, 2), 12 * 5.2 + 6 * 0.1, 1e-9);
  EXPECT_NEAR(micro(hierarchical, alike, 2, 1), 2 * 5.4 + 0.2 + 2 * 5.4 + 0.1, 1e-9);
  EXPECT_NEAR(micro(in_network, alike, 1, 1), 5.8, 1e-9);
  // Two messages of 500 bytes at a time over one link.
  EXPECT_NEAR(micro(bidirectional_ring, alike, 1, 1), 6 * 5.2 + 3 * 0.1, 1e-9);
}

// 8 members by 4: doubling's first two steps stay in the node, in the third all four send over one
// link; a ring leaves each node once. Only the network costs anything.
TEST(CollectiveSeconds, SharesTheLinksOfNodes) {
  using enum CollectiveAlgorithm;
  const LevelCosts network_only{{}, {{}, kCost.beta_per_byte, {}}};
  const auto bytes = [&](CollectiveAlgorithm algorithm) {
    return collective_seconds({CollectiveKind::all_reduce, algorithm, 8, 0, 4}, network_only, 800,
                              kElementBytes) /
           kCost.beta_per_byte;
  };
  EXPECT_NEAR(bytes(doubling), 4 * 3200, 1e-6);
  EXPECT_NEAR(bytes(ring), 14 * 400, 1e-6);
  EXPECT_NEAR(bytes(halving_doubling), 2 * 4 * 1600, 1e-6);
  EXPECT_NEAR(bytes(hierarchical), 2 * 4 * 400, 1e-6);
}

// 8 members, blocks of 1000 bytes: 7 messages of one, or 3 of 4.
TEST(AllToAllSeconds, IsOneBlockAtATimeOrHalfOfThem) {
  const auto micro = [](AllToAllAlgorithm algorithm) {
    return 1e6 * all_to_all_seconds(algorithm, kCost, 8, Bytes::bytes(1000)).seconds();
  };
  EXPECT_NEAR(micro(AllToAllAlgorithm::direct), 7 * 5.2, 1e-9);
  EXPECT_NEAR(micro(AllToAllAlgorithm::bruck), 3 * 5.8, 1e-9);
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
