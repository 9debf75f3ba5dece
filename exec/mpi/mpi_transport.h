// Messages over MPI: one process per rank, started by mpirun (tools/mpirun).
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>

#include "exec/transport.h"

namespace rehearse::exec {

struct MpiLimits {
  // Bytes of the longest message that goes as a plain count, which MPI holds in an int.
  std::int64_t largest_count = std::numeric_limits<int>::max();
};

// From MPI_Init to MPI_Finalize; one per process. Messages go over a communicator of its own, so
// they never meet those of a library that uses MPI as well.
//
// Progress happens only inside test(): Open MPI 4 has no progress thread, so whoever computes for
// long must test now and then, or its sends stand still. Every error of MPI ends the job with a
// message that names rank, operation and call.
class MpiSession {
 public:
  explicit MpiSession(const MpiLimits& limits = {});
  // Waits for the other ranks. Left by an exception instead, it ends the job: the other ranks would
  // wait for this one for ever.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  Transport& transport();

 private:
  class MpiTransport;
  std::unique_ptr<MpiTransport> transport_;
  int exceptions_at_start_;
};

// Whether this MPI takes the memory of GPUs in its calls. Called within a session.
bool mpi_takes_gpu_memory();

// Runs body on this process's rank, as run_local does on threads; an exception ends the job with
// its message.
void run_mpi(const std::function<void(Transport&)>& body);

}  // namespace rehearse::exec
