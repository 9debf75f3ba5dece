#include <gtest/gtest.h>

#include <atomic>

#include "exec/message_transport.h"
#include "tests/exec/transport/transport_contract.h"
#include "tests/exec/transport/transport_failures.h"

namespace rehearse::exec {
namespace {

class LocalContract : public testing::TestWithParam<std::tuple<ContractCase, std::size_t>> {};

TEST_P(LocalContract, Holds) {
  const auto& [contract, ranks] = GetParam();
  run_local(ranks, contract.run);
}

// 1: everybody is its own neighbour; 2: both neighbours are the same; 7: odd, and more than cores.
INSTANTIATE_TEST_SUITE_P(, LocalContract,
                         testing::Combine(testing::ValuesIn(transport_contract()),
                                          testing::Values(1, 2, 4, 7)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) + "_on_" +
                                  std::to_string(std::get<1>(test.param));
                         });

std::string message_of(std::size_t ranks, const std::function<void(Transport&)>& body) {
  try {
    run_local(ranks, body);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

class LocalFailure : public testing::TestWithParam<FailureCase> {};

TEST_P(LocalFailure, EndsAllRanksWithTheMessage) {
  // Eight times: which rank comes first differs.
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(message_of(2, GetParam().run), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(, LocalFailure, testing::ValuesIn(transport_failures()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(LocalTransport, ASendIsNotDoneBeforeItsReceiveIsPosted) {
  std::atomic<bool> receives = false;
  run_local(2, [&](Transport& t) {
    std::byte byte{42};
    if (t.rank() == RankId{1}) {
      t.barrier();
      receives = true;
      const Request request = t.receive(RankId{0}, 1, {&byte, 1});
      wait_all(t, {&request, 1});
      return;
    }
    const Request request = t.send(RankId{1}, 1, {&byte, 1});
    // The receiver cannot have posted: it waits in the barrier.
    for (int i = 0; i < 100; ++i)
      EXPECT_FALSE(t.test(request));
    t.barrier();
    wait_all(t, {&request, 1});
    EXPECT_TRUE(receives);
  });
}

// As with MPI, bytes move inside the calls of their ranks only.
TEST(LocalTransport, AMatchedMessageNeedsTheSendersCallsToMove) {
  run_local(2, [](Transport& t) {
    std::byte byte{0};
    const bool sends = t.rank() == RankId{0};
    if (sends) byte = std::byte{42};
    const RankId peer{sends ? 1 : 0};
    const Request request = sends ? t.send(peer, 1, {&byte, 1}) : t.receive(peer, 1, {&byte, 1});
    t.barrier();
    if (!sends) {
      EXPECT_FALSE(t.test(request));
    }
    t.barrier();
    wait_all(t, {&request, 1});
    EXPECT_EQ(byte, std::byte{42});
  });
}

TEST(LocalTransport, AnUnknownPeerEndsTheJob) {
  EXPECT_EQ(message_of(3,
                       [](Transport& t) {
                         if (t.rank() == RankId{2}) (void)t.send(RankId{3}, 1, {});
                         t.barrier();
                       }),
            "rank 2: send to rank 3, tag 1: there are 3 ranks");
}

// 64 ranks on however few cores; only one throws, all must end.
TEST(LocalTransport, OneExceptionEndsManyWaitingRanks) {
  std::atomic<int> aborted = 0;
  const std::string message = message_of(64, [&](Transport& t) {
    if (t.rank() == RankId{63}) throw std::invalid_argument("rank 63 gave up");
    try {
      t.barrier();
    } catch (const JobAborted&) {
      ++aborted;
      throw;
    }
  });
  EXPECT_EQ(message, "rank 63 gave up");
  EXPECT_EQ(aborted, 63);
}

TEST(LocalTransportDeathTest, LeavingWithAMessageUnderWayIsABug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(run_local(1, [](Transport& t) { (void)t.send(t.rank(), 1, {}); }),
               "rank 0 returned with 1 messages under way");
}

}  // namespace
}  // namespace rehearse::exec
