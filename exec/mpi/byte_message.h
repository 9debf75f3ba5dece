// Bytes as MPI's (count, datatype): counts are ints, so a message beyond 2 GiB needs a datatype.
#pragma once

#include <mpi.h>

#include <cstdint>

namespace rehearse::exec {

// One message of any length stays one MPI message: order, matching and the check of lengths do not
// depend on its size, as they would if it were split.
class ByteMessage {
 public:
  // largest_count: the most bytes that go without a derived datatype; tests make it small.
  ByteMessage(std::int64_t bytes, std::int64_t largest_count);
  ~ByteMessage();
  ByteMessage(const ByteMessage&) = delete;
  ByteMessage& operator=(const ByteMessage&) = delete;

  int count() const { return count_; }
  MPI_Datatype type() const { return type_; }
  // MPI_SUCCESS, or what went wrong where the datatype was made.
  int error() const { return error_; }

 private:
  int build(std::int64_t blocks, std::int64_t block_bytes, std::int64_t rest);

  int count_ = 0;
  MPI_Datatype type_ = MPI_BYTE;
  int error_ = MPI_SUCCESS;
};

}  // namespace rehearse::exec
