// What is called of NCCL, and of CUDA's streams for it: a table, so that tests can put a stand-in
// behind it.
//
// None of these calls waits for another rank. A group that was ended is one kernel in its stream:
// it keeps its part of the device until the other rank runs its own half, however long that takes.
#pragma once

#include <array>
#include <cstddef>

namespace rehearse::exec {

// Whose ranks find one another by it.
struct NcclId {
  std::array<std::byte, 128> bytes{};
};

// Handles of the library that is behind the table.
struct NcclCommunicator;
struct NcclStream;

// Errors are thrown, as std::runtime_error with the library's own words.
class NcclCalls {
 public:
  virtual ~NcclCalls() = default;

  virtual NcclId new_id() = 0;
  // In progress until all ranks have called it.
  virtual NcclCommunicator* begin_communicator(const NcclId& id, int ranks, int rank) = 0;
  // Whether something that was begun with it has not come through: its making, the launch of a
  // group, its end. Nothing else may be done with it until then.
  virtual bool is_in_progress(NcclCommunicator* communicator) = 0;

  virtual void start_group() = 0;
  virtual void send(const void* from, std::size_t bytes, int to, NcclCommunicator* communicator,
                    NcclStream* stream) = 0;
  virtual void receive(void* into, std::size_t bytes, int from, NcclCommunicator* communicator,
                       NcclStream* stream) = 0;
  virtual void end_group() = 0;

  // All ranks together, then each for itself ...
  virtual void begin_end(NcclCommunicator* communicator) = 0;
  virtual void destroy(NcclCommunicator* communicator) = 0;
  // ... or alone, whatever is under way.
  virtual void abort(NcclCommunicator* communicator) = 0;

  virtual NcclStream* new_stream() = 0;
  // Whether all that was put into it is done.
  virtual bool is_done(NcclStream* stream) = 0;
  virtual void destroy(NcclStream* stream) = 0;

  // Groups that the device surely runs at the same time, 1 or more.
  virtual std::size_t most_kernels() const = 0;
};

}  // namespace rehearse::exec
