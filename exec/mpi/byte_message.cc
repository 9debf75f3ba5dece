#include "exec/mpi/byte_message.h"

namespace rehearse::exec {

ByteMessage::ByteMessage(std::int64_t bytes, std::int64_t largest_count) {
  if (bytes <= largest_count) {
    count_ = static_cast<int>(bytes);
    return;
  }
  count_ = 1;
  error_ = build(bytes / largest_count, largest_count, bytes % largest_count);
}

// Whole blocks, and what is left behind them.
int ByteMessage::build(std::int64_t blocks, std::int64_t block_bytes, std::int64_t rest) {
  MPI_Datatype block;
  if (const int e = MPI_Type_contiguous(static_cast<int>(block_bytes), MPI_BYTE, &block)) return e;
  const int counts[] = {static_cast<int>(blocks), static_cast<int>(rest)};
  const MPI_Aint places[] = {0, static_cast<MPI_Aint>(blocks * block_bytes)};
  const MPI_Datatype types[] = {block, MPI_BYTE};
  const int made = MPI_Type_create_struct(2, counts, places, types, &type_);
  MPI_Type_free(&block);  // type_ keeps what it needs of it
  return made != MPI_SUCCESS ? made : MPI_Type_commit(&type_);
}

// MPI keeps a freed datatype until the messages that use it are done.
ByteMessage::~ByteMessage() {
  if (type_ != MPI_BYTE) MPI_Type_free(&type_);
}

}  // namespace rehearse::exec
