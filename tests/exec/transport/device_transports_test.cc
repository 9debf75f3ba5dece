// Transports of a device's memory that another carries, over threads of this process.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "exec/direct_transport.h"
#include "exec/message_transport.h"
#include "exec/staged_transport.h"
#include "tests/exec/late_device.h"
#include "tests/exec/transport/transport_contract.h"

namespace rehearse::exec {
namespace {

using rehearse::testing::LateDevice;

using Data = std::vector<std::byte>;

struct Way {
  std::string_view name;
  std::unique_ptr<Transport> (*over)(Transport& carrier, KernelDevice& device);
};

template <class T>
std::unique_ptr<Transport> over(Transport& carrier, KernelDevice& device) {
  return std::make_unique<T>(carrier, device);
}

const Way kWays[] = {{"direct", over<DirectTransport>}, {"staged", over<StagedTransport>}};

class DeviceContract : public ::testing::TestWithParam<std::tuple<ContractCase, Way, std::size_t>> {
};

TEST_P(DeviceContract, Holds) {
  const auto& [contract, way, ranks] = GetParam();
  run_local(ranks, [&, &contract = contract, &way = way](Transport& carrier) {
    LateDevice device(carrier.rank().value());
    contract.run(*way.over(carrier, device));
  });
}

std::string name_of(const ::testing::TestParamInfo<DeviceContract::ParamType>& test) {
  const auto& [contract, way, ranks] = test.param;
  return fmt::format("{}_{}_on_{}", way.name, contract.name, ranks);
}

INSTANTIATE_TEST_SUITE_P(, DeviceContract,
                         ::testing::Combine(::testing::ValuesIn(transport_contract()),
                                            ::testing::ValuesIn(kWays), ::testing::Values(1, 2, 4)),
                         name_of);

class DeviceQueues : public ::testing::TestWithParam<Way> {};

// What computes the data stands in the queue when the send is posted, and who still reads the
// memory when the receive is.
TEST_P(DeviceQueues, AreWaitedFor) {
  constexpr std::size_t kBytes = 100;
  const std::byte kBefore{1}, kSent{2};
  run_local(2, [&](Transport& carrier) {
    LateDevice device(carrier.rank().value());
    const auto t = GetParam().over(carrier, device);
    const bool sends = t->rank() == RankId(0);
    Data bytes(kBytes), copy(kBytes);
    for (int round = 0; round < 20; ++round) {
      for (int k = 0; k < 10; ++k)
        device.fill(bytes.data(), std::byte{9}, kBytes);
      device.fill(bytes.data(), sends ? kSent : kBefore, kBytes);
      if (!sends) device.copy(copy.data(), bytes.data(), kBytes);
      const Request request =
          sends ? t->send(RankId(1), 1, bytes) : t->receive(RankId(0), 1, bytes);
      wait_all(*t, {&request, 1});
      EXPECT_EQ(bytes, Data(kBytes, kSent));
      if (!sends) {
        EXPECT_EQ(copy, Data(kBytes, kBefore));
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(, DeviceQueues, ::testing::ValuesIn(kWays),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace rehearse::exec
