// Jobs that must fail end with exit code 1, the message once, and no rank left behind.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

#include "tests/exec/transport/transport_failures.h"

namespace rehearse::exec {
namespace {

struct Outcome {
  int exit_code = 0;
  std::string output;
};

Outcome run_job(std::string_view name) {
  // A job that hangs must not hang the tests: timeout ends mpirun, and mpirun the ranks.
  const std::string command = "timeout 60 " REHEARSE_SOURCE_DIR
                              "/tools/mpirun -np 2 " REHEARSE_FAILING_JOB " " +
                              std::string(name) + " 2>&1";
  Outcome outcome;
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {-1, "no pipe"};
  std::array<char, 4096> buffer;
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), n);
  }
  const int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

void expect_failure(std::string_view name, const std::string& message) {
  const Outcome outcome = run_job(name);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  const std::string line = message + "\n";
  const auto first = outcome.output.find(line);
  EXPECT_NE(first, std::string::npos) << outcome.output;
  EXPECT_EQ(outcome.output.find(line, first + 1), std::string::npos) << outcome.output;
}

class MpiFailure : public testing::TestWithParam<FailureCase> {};

TEST_P(MpiFailure, EndsAllRanksWithTheMessage) {
  expect_failure(GetParam().name, std::string(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(, MpiFailure, testing::ValuesIn(transport_failures()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(MpiFailureText, NamesRankOperationAndCall) {
  expect_failure("peer_is_unknown",
                 "rank 1: MPI_Isend to rank 9, tag 3: MPI_ERR_RANK: invalid rank");
}

TEST(MpiFailureText, NamesTheRankThatLeft) {
  expect_failure("leave_by_an_exception", "rank 1: left by an exception");
}

// MPI_TAG_UB of Open MPI is 2^31 - 1 = 2147483647; four tags are transports' own.
TEST(MpiFailureText, NamesTheLargestTag) {
  expect_failure("tag_is_too_large",
                 "rank 0: from rank 1: tag 4294967296 is beyond 2147483643, the largest this MPI "
                 "takes");
}

}  // namespace
}  // namespace rehearse::exec
