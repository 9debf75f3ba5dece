// The communicator of two ranks and the stream that its groups run in, one at a time.
#pragma once

#include <span>

#include "exec/nccl/calls.h"

namespace rehearse::exec {

class NcclPair {
 public:
  struct Piece {
    bool sends;
    std::span<std::byte> memory;
  };

  // rank: 0 or 1, the peer is the other one.
  NcclPair(NcclCalls& nccl, const NcclId& id, int rank);
  // What is not closed is aborted.
  ~NcclPair();
  NcclPair(const NcclPair&) = delete;
  NcclPair& operator=(const NcclPair&) = delete;

  // Makes progress; whether the communicator is there and its last group done.
  bool is_idle();
  // Where it is idle. The peer begins the same pieces in the same order, seen from its side.
  void begin(std::span<const Piece> group);
  // Where it is idle, and the peer closes as well: to be called until it returns true.
  bool close();

 private:
  enum class State { making, idle, launching, running, closing, closed };

  NcclCalls& nccl_;
  const int peer_;
  NcclCommunicator* communicator_;
  NcclStream* stream_;
  State state_ = State::making;
};

}  // namespace rehearse::exec
