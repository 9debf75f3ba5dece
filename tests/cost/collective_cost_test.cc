#include "cost/collective_cost.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace rehearse {
namespace {

constexpr std::int64_t kElementBytes = 4;
const MessageCost kCost{Seconds::microseconds(5), Seconds::seconds(2e-10), Seconds::seconds(1e-10)};

// Plays the step lists on an idle network: a step begins when this member's last one and that of the
// member it receives from have ended, and ends when its message has arrived and is added.
Seconds played(std::size_t members, std::int64_t n) {
  std::vector<std::vector<CollectiveStep>> lists;
  for (std::size_t m = 0; m < members; ++m) lists.push_back(ring_all_reduce(m, members, n));
  std::vector<Seconds> now(members);
  for (std::size_t s = 0; s < lists[0].size(); ++s) {
    const std::vector<Seconds> before = now;
    for (std::size_t m = 0; m < members; ++m) {
      const CollectiveStep& step = lists[m][s];
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

TEST(MessageCost, AddsBothThreadsAndThePath) {
  const Messaging messaging{Seconds::microseconds(1), Seconds::microseconds(2), Seconds::seconds(1e-10),
                            Seconds::seconds(3e-10), Seconds::seconds(5e-11)};
  // alpha = 1 + 2 * 2 + 10 us of path; beta = 0.1 + 0.3 ns + 1 / (10 GB/s) = 0.5 ns.
  const MessageCost cost =
      message_cost(messaging, Seconds::microseconds(10), BytesPerSecond::gigabytes_per_second(10));
  EXPECT_NEAR(cost.alpha.seconds(), 15e-6, 1e-18);
  EXPECT_NEAR(cost.beta_per_byte.seconds(), 5e-10, 1e-22);
  EXPECT_EQ(cost.gamma_per_byte, messaging.reduce_per_byte);
  // 1000 bytes: 15 us + 0.5 us.
  EXPECT_NEAR(send_seconds(cost, Bytes::bytes(1000)).seconds(), 15.5e-6, 1e-15);
}

}  // namespace
}  // namespace rehearse
