#include "exec/nccl/nccl_transport.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>

#include "exec/message_transport.h"
#include "tests/exec/far_device.h"
#include "tests/exec/late_device.h"
#include "tests/exec/nccl/stand_in.h"
#include "tests/exec/transport/transport_contract.h"
#include "tests/exec/transport/transport_failures.h"

namespace rehearse::exec {
namespace {

using rehearse::testing::FarDevice;
using rehearse::testing::LateDevice;
using rehearse::testing::NcclStandIn;
using rehearse::testing::NcclWorld;

using Data = std::vector<std::byte>;

// Kernels that a device runs at once: one is enough, many are no trouble.
constexpr std::size_t kOne = 1, kMany = 8;

void run_on(NcclWorld& world, std::size_t ranks, const std::function<void(Transport&)>& body) {
  run_local(ranks, [&](Transport& carrier) {
    LateDevice device(carrier.rank().value());
    NcclStandIn nccl(world, carrier.rank().value());
    NcclTransport transport(carrier, device, nccl);
    body(transport);
  });
}

class NcclContract
    : public ::testing::TestWithParam<std::tuple<ContractCase, std::size_t, std::size_t>> {};

TEST_P(NcclContract, Holds) {
  const auto& [contract, ranks, kernels] = GetParam();
  NcclWorld world(kernels);
  run_on(world, ranks, contract.run);
}

std::string name_of(const ::testing::TestParamInfo<NcclContract::ParamType>& test) {
  const auto& [contract, ranks, kernels] = test.param;
  return fmt::format("{}_on_{}_with_{}", contract.name, ranks, kernels);
}

// 2: both neighbours are the same; 3: the smallest circle; 7: odd, and more than cores.
INSTANTIATE_TEST_SUITE_P(, NcclContract,
                         ::testing::Combine(::testing::ValuesIn(transport_contract()),
                                            ::testing::Values(1, 2, 3, 7),
                                            ::testing::Values(kOne, kMany)),
                         name_of);

class NcclFailure : public ::testing::TestWithParam<FailureCase> {};

TEST_P(NcclFailure, EndsAllRanksWithTheMessage) {
  NcclWorld world(kMany);
  try {
    run_on(world, 2, GetParam().run);
    FAIL() << "no error";
  } catch (const std::exception& error) {
    EXPECT_EQ(std::string_view(error.what()), GetParam().message);
  }
}

INSTANTIATE_TEST_SUITE_P(, NcclFailure, ::testing::ValuesIn(transport_failures()),
                         [](const auto& test) { return std::string(test.param.name); });

// ---- deadlock -----------------------------------------------------------------------------------

// What is locked fails the test, and does not stop it.
void wait_for_all(Transport& t, const std::vector<Request>& requests) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Request> waiting = requests;
  while (!waiting.empty()) {
    std::erase_if(waiting, [&](Request r) { return t.test(r); });
    t.idle();
    if (std::chrono::steady_clock::now() - begin > std::chrono::minutes(2))
      t.abort(
          fmt::format("rank {} waits for {} messages for good", t.rank().value(), waiting.size()));
  }
}

// Everybody exchanges messages with everybody, posted in an order of its own, all under way at the
// same time. With room for one kernel any order of launches that the ranks had not agreed on would
// lock (stand_in_test.cc).
class NcclCircles : public ::testing::TestWithParam<std::tuple<std::size_t, std::uint64_t>> {};

TEST_P(NcclCircles, DoNotLock) {
  const auto& [ranks, seed] = GetParam();
  constexpr std::int64_t kTags = 6;
  NcclWorld world(kOne);
  run_on(world, ranks, [&, seed = seed](Transport& t) {
    struct Post {
      RankId peer;
      std::int64_t tag;
      bool sends;
    };
    std::vector<Post> posts;
    for (std::size_t peer = 0; peer < t.size(); ++peer) {
      for (std::int64_t tag = 0; tag < kTags; ++tag) {
        posts.push_back({RankId(peer), tag, true});
        posts.push_back({RankId(peer), tag, false});
      }
    }
    Random random(seed, t.rank().index());
    random.shuffle(std::span(posts));
    const auto content = [&](RankId from, RankId to, std::int64_t tag) {
      return static_cast<std::byte>((from.index() * 8 + to.index()) * kTags +
                                    static_cast<std::size_t>(tag));
    };
    std::vector<Data> memory;
    std::vector<Request> requests;
    for (const Post& post : posts) {
      memory.emplace_back(100, content(t.rank(), post.peer, post.tag));
      requests.push_back(post.sends ? t.send(post.peer, post.tag, memory.back())
                                    : t.receive(post.peer, post.tag, memory.back()));
    }
    wait_for_all(t, requests);
    for (std::size_t k = 0; k < posts.size(); ++k) {
      if (!posts[k].sends) {
        EXPECT_EQ(memory[k], Data(100, content(posts[k].peer, t.rank(), posts[k].tag)));
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(, NcclCircles,
                         ::testing::Combine(::testing::Values(3, 4, 5),
                                            ::testing::Range<std::uint64_t>(1, 11)));

// ---- communicators and groups -------------------------------------------------------------------

TEST(NcclTransport, ManyMessagesShareAGroupAndAllACommunicator) {
  NcclWorld world(kMany);
  constexpr std::size_t kMessages = 40;
  run_on(world, 2, [&](Transport& t) {
    const RankId peer(1 - t.rank().index());
    std::vector<Data> out(kMessages, Data(8)), in(kMessages, Data(8));
    std::vector<Request> requests;
    for (std::size_t k = 0; k < kMessages; ++k) {
      requests.push_back(t.send(peer, 1, out[k]));
      requests.push_back(t.receive(peer, 1, in[k]));
    }
    wait_all(t, requests);
  });
  EXPECT_EQ(world.made(), 1);
  EXPECT_EQ(world.destroyed(), 2);
  EXPECT_EQ(world.aborted(), 0);
  // Two halves of 80 messages, alone, would be 160 groups. The communicator takes a while to be
  // made: meanwhile messages gather.
  EXPECT_LT(world.groups(), 4 * kMessages);
  EXPECT_GT(world.most_in_group(), 1);
}

TEST(NcclTransport, MessagesOfHostsNeedNoCommunicator) {
  NcclWorld world(kMany);
  run_local(2, [&](Transport& carrier) {
    FarDevice device(carrier.rank().value());
    NcclStandIn nccl(world, carrier.rank().value());
    NcclTransport t(carrier, device, nccl);
    Data out(8), in(8);
    const RankId peer(1 - t.rank().index());
    const Request requests[] = {t.send(peer, 1, out), t.receive(peer, 1, in)};
    wait_all(t, requests);
  });
  EXPECT_EQ(world.made(), 0);
}

TEST(NcclTransport, AnExceptionAbortsItsCommunicators) {
  NcclWorld world(kMany);
  EXPECT_THROW(run_on(world, 2,
                      [](Transport& t) {
                        Data bytes(8);
                        const RankId peer(1 - t.rank().index());
                        const Request request = t.rank() == RankId(0) ? t.send(peer, 1, bytes)
                                                                      : t.receive(peer, 1, bytes);
                        wait_all(t, {&request, 1});
                        if (t.rank() == RankId(1)) throw std::runtime_error("broken");
                        t.barrier();
                      }),
               std::runtime_error);
  EXPECT_EQ(world.aborted(), 2);
}

TEST(NcclTransport, NeedsAGpuForEveryRank) {
  EXPECT_TRUE(check_gpus_for_nccl(4, 4));
  EXPECT_EQ(check_gpus_for_nccl(4, 1).errors().front().message,
            "NCCL needs a GPU for every rank: 4 ranks, 1 GPU");
  EXPECT_EQ(check_gpus_for_nccl(9, 8).errors().front().message,
            "NCCL needs a GPU for every rank: 9 ranks, 8 GPUs");
}

// ---- queues -------------------------------------------------------------------------------------

// What computes the data stands in the queue when the send is posted, and who still reads the
// memory when the receive is.
TEST(NcclTransport, MessagesWaitForTheQueuesThatTheyWerePostedFrom) {
  constexpr std::size_t kBytes = 1000;
  const std::byte kBefore{1}, kSent{2};
  NcclWorld world(kMany);
  run_local(2, [&](Transport& carrier) {
    const bool sends = carrier.rank() == RankId(0);
    FarDevice device(carrier.rank().value());
    NcclStandIn nccl(world, carrier.rank().value(), [&](const auto& work) { device.reach(work); });
    NcclTransport t(carrier, device, nccl);
    const auto memory = device.allocate(kBytes), copy = device.allocate(kBytes);
    const std::span<std::byte> bytes(memory->data(), kBytes);
    for (std::size_t round = 0; round < 20; ++round) {
      device.select(1);
      // Much before it, so that it takes its time.
      for (int k = 0; k < 100; ++k)
        device.fill(bytes.data(), std::byte{9}, kBytes);
      device.fill(bytes.data(), sends ? kSent : kBefore, kBytes);
      if (!sends) device.copy(copy->data(), bytes.data(), kBytes);
      const Request request = sends ? t.send(RankId(1), 1, bytes) : t.receive(RankId(0), 1, bytes);
      device.select(0);
      wait_all(t, {&request, 1});
      if (sends) continue;
      EXPECT_EQ(read(device, bytes), Data(kBytes, kSent));
      EXPECT_EQ(read(device, {copy->data(), kBytes}), Data(kBytes, kBefore));
    }
  });
}

}  // namespace
}  // namespace rehearse::exec
