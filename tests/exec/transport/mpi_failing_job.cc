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

// Caught outside, so that it does leave the session.
void leave_by_an_exception() {
  try {
    MpiSession session;
    if (session.transport().rank() == RankId{1}) throw 42;
    session.transport().barrier();
  } catch (int) {
  }
}

int run(std::string_view name) {
  for (const FailureCase& failure : transport_failures()) {
    if (failure.name == name) return run_mpi(failure.run), EXIT_SUCCESS;
  }
  if (name == "peer_is_unknown") return run_mpi(peer_is_unknown), EXIT_SUCCESS;
  if (name == "tag_is_too_large") return run_mpi(tag_is_too_large), EXIT_SUCCESS;
  if (name == "leave_by_an_exception") return leave_by_an_exception(), EXIT_SUCCESS;
  fmt::print(stderr, "no such case: {}\n", name);
  return 2;
}

}  // namespace
}  // namespace rehearse::exec

int main(int argc, char** argv) {
  return argc == 2 ? rehearse::exec::run(argv[1]) : 2;
}
