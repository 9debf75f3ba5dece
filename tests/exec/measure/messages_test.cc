#include <gtest/gtest.h>

#include "exec/measure/phases.h"

namespace rehearse::exec {
namespace {

std::vector<MessageSample> played(std::size_t ranks) {
  std::vector<MessageSample> samples;
  run_local(ranks, [&](Transport& transport) {
    const auto mine = measure_messages(transport);
    if (transport.rank().index() == 0) samples = mine;
  });
  return samples;
}

// A thread cannot be busy with a message for longer than its round trip takes.
TEST(Messages, TakeNoMoreThreadTimeThanTime) {
  for (const MessageSample& s : played(2)) {
    EXPECT_GT(s.send + s.receive, Seconds{}) << s.bytes.bytes();
    EXPECT_LE(s.send, s.round_trip) << s.bytes.bytes();
    EXPECT_LE(s.receive, s.round_trip) << s.bytes.bytes();
  }
}

// An odd rank has no partner and rests.
TEST(Messages, PairUp) {
  EXPECT_TRUE(played(1).empty());
  const std::size_t sizes = played(2).size();
  EXPECT_GT(sizes, 4u);
  EXPECT_EQ(played(3).size(), sizes);
  EXPECT_EQ(played(5).size(), 2 * sizes);
}

}  // namespace
}  // namespace rehearse::exec
