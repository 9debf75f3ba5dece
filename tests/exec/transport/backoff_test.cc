#include "exec/backoff.h"

#include <gtest/gtest.h>

namespace rehearse::exec {
namespace {

using std::chrono::microseconds;

TEST(Backoff, YieldsFirstThenDoublesUpTo128Microseconds) {
  EXPECT_EQ(nap_after(0), microseconds(0));
  int call = 0;
  while (nap_after(call) == microseconds(0))
    ++call;
  // 1, 2, 4, ..., 128 = 2^7, and then no longer.
  for (int doubling = 0; doubling <= 7; ++doubling) {
    EXPECT_EQ(nap_after(call + doubling), microseconds(1 << doubling));
  }
  EXPECT_EQ(nap_after(call + 8), microseconds(128));
  EXPECT_EQ(nap_after(1'000'000'000), microseconds(128));
}

}  // namespace
}  // namespace rehearse::exec
