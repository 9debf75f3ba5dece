// Runs one job that must fail, by name, for mpi_failure_test.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "exec/mpi/mpi_transport.h"
#include "tests/exec/transport/transport_failures.h"

namespace rehearse::exec {
namespace {

// What only MPI can say.
void peer_is_unknown(Transport& t) {
  if (t.rank() == RankId{1}) (void)t.send(RankId{9}, 3, {});
  t.barrier();
}

void tag_is_too_large(Transport& t) {
  if (t.rank() == RankId{0}) (void)t.receive(RankId{1}, std::int64_t{1} << 32, {});
  t.barrier();
}

int run(std::string_view name) {
  std::vector<FailureCase> cases = transport_failures();
  cases.push_back({"peer_is_unknown", peer_is_unknown, ""});
  cases.push_back({"tag_is_too_large", tag_is_too_large, ""});
  for (const FailureCase& failure : cases) {
    if (failure.name != name) continue;
    run_mpi(failure.run);
    return EXIT_SUCCESS;
  }
  fmt::print(stderr, "no such case: {}\n", name);
  return 2;
}

}  // namespace
}  // namespace rehearse::exec

int main(int argc, char** argv) {
  return argc == 2 ? rehearse::exec::run(argv[1]) : 2;
}
