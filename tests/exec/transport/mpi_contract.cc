// The transports' contract over MPI: every rank runs all cases, and what fails on any rank is
// printed with the rank's number and fails the job. An argument sets MpiLimits::largest_count.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "exec/mpi/mpi_transport.h"
#include "tests/exec/transport/transport_contract.h"

namespace rehearse::exec {
namespace {

// gtest makes the tests, so the transport of this process reaches them through the suite.
class MpiContract : public testing::TestWithParam<ContractCase> {
 public:
  static inline Transport* transport = nullptr;
};

TEST_P(MpiContract, Holds) {
  GetParam().run(*transport);
  transport->barrier();  // no rank begins the next case while another still fails in this one
}

INSTANTIATE_TEST_SUITE_P(, MpiContract, testing::ValuesIn(transport_contract()),
                         [](const auto& test) { return std::string(test.param.name); });

class RankPrinter : public testing::EmptyTestEventListener {
 public:
  explicit RankPrinter(RankId rank) : rank_(rank) {}
  void OnTestPartResult(const testing::TestPartResult& part) override {
    if (!part.failed()) return;
    fmt::print(stderr, "rank {}: {}:{}: {}\n", rank_.value(),
               part.file_name() == nullptr ? "" : part.file_name(), part.line_number(),
               part.message());
  }

 private:
  RankId rank_;
};

// Everybody's verdict is the worst one.
int agree(Transport& transport, int failed) {
  const std::vector<std::string> all = transport.gather(failed == 0 ? "passed" : "failed");
  const bool any = std::find(all.begin(), all.end(), "failed") != all.end();
  return transport.broadcast(any ? "failed" : "passed", RankId{0}) == "failed" ? 1 : 0;
}

int run_all(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // An exception must end the job at once: the other ranks wait for this one.
  GTEST_FLAG_SET(catch_exceptions, false);
  MpiLimits limits;
  if (argc > 1) limits.largest_count = std::stoll(argv[1]);
  MpiSession session(limits);
  MpiContract::transport = &session.transport();
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (session.transport().rank() != RankId{0}) {
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new RankPrinter(session.transport().rank()));
  }
  return agree(session.transport(), RUN_ALL_TESTS());
}

}  // namespace
}  // namespace rehearse::exec

int main(int argc, char** argv) {
  return rehearse::exec::run_all(argc, argv);
}
