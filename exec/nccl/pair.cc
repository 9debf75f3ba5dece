#include "exec/nccl/pair.h"

#include "model/base/check.h"

namespace rehearse::exec {

NcclPair::NcclPair(NcclCalls& nccl, const NcclId& id, int rank)
    : nccl_(nccl),
      peer_(1 - rank),
      communicator_(nccl.begin_communicator(id, 2, rank)),
      stream_(nccl.new_stream()) {}

NcclPair::~NcclPair() {
  if (state_ != State::closed) nccl_.abort(communicator_);
  nccl_.destroy(stream_);
}

bool NcclPair::is_idle() {
  if (state_ == State::making && !nccl_.is_in_progress(communicator_)) state_ = State::idle;
  // Only what was launched stands in the stream.
  if (state_ == State::launching && !nccl_.is_in_progress(communicator_)) state_ = State::running;
  if (state_ == State::running && nccl_.is_done(stream_)) state_ = State::idle;
  return state_ == State::idle;
}

void NcclPair::begin(std::span<const Piece> group) {
  REHEARSE_CHECK(state_ == State::idle, "a group is begun beside another");
  nccl_.start_group();
  for (const Piece& piece : group) {
    if (piece.sends) {
      nccl_.send(piece.memory.data(), piece.memory.size(), peer_, communicator_, stream_);
    } else {
      nccl_.receive(piece.memory.data(), piece.memory.size(), peer_, communicator_, stream_);
    }
  }
  nccl_.end_group();
  state_ = State::launching;
}

bool NcclPair::close() {
  if (state_ == State::idle) {
    nccl_.begin_end(communicator_);
    state_ = State::closing;
  }
  if (state_ == State::closing && !nccl_.is_in_progress(communicator_)) {
    nccl_.destroy(communicator_);
    state_ = State::closed;
  }
  return state_ == State::closed;
}

}  // namespace rehearse::exec
