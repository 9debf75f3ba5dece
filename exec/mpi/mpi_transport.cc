#include "exec/mpi/mpi_transport.h"

#include <fmt/format.h>
#include <mpi.h>
#ifdef OPEN_MPI
#include <mpi-ext.h>
#endif

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>

#include "exec/message_transport.h"
#include "exec/mpi/byte_message.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

std::string error_text(int error) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(error, text, &length);
  return std::string(text, static_cast<std::size_t>(length));
}

// Open MPI hands a long message over in fragments of 32 KiB, three per call that makes progress:
// with naps between the calls 4 MiB take 9 ms, with 64 fragments per call 1 ms (two ranks, shared
// memory without single copy; a rank that only spins needs 0.7 ms). Whoever tests between kernels
// moves as much more. A setting from outside stays.
void deepen_pipeline() {
  setenv("OMPI_MCA_pml_ob1_send_pipeline_depth", "64", 0);
}

bool is_truncation(int error) {
  int error_class = MPI_SUCCESS;
  MPI_Error_class(error, &error_class);
  return error_class == MPI_ERR_TRUNCATE;
}

}  // namespace

class MpiSession::MpiTransport final : public MessageTransport {
 public:
  explicit MpiTransport(const MpiLimits& limits) : limits_(limits) {
    // Until the communicator is ours MPI's own handler ends the job, and says why.
    MPI_Comm_dup(MPI_COMM_WORLD, &communicator_);
    MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(communicator_, &rank_);
    MPI_Comm_size(communicator_, &size_);
    int found = 0;
    int* bound = nullptr;
    check(MPI_Comm_get_attr(communicator_, MPI_TAG_UB, &bound, &found), "MPI_Comm_get_attr");
    REHEARSE_CHECK(found != 0, "MPI has no MPI_TAG_UB");
    largest_tag_ = *bound - kOwnTags;
  }

  ~MpiTransport() override {
    REHEARSE_CHECK(pending_.empty(), "rank {} ends with {} messages under way", rank_,
                   pending_.size());
    MPI_Comm_free(&communicator_);
  }

  RankId rank() const override { return RankId{rank_}; }
  std::size_t size() const override { return static_cast<std::size_t>(size_); }

  Request send(RankId to, std::int64_t tag, std::span<const std::byte> bytes) override {
    Pending pending{MPI_REQUEST_NULL, Side::send, to, tag, std::ssize(bytes)};
    const int mpi_tag = map_tag(pending);
    const ByteMessage message(pending.bytes, limits_.largest_count);
    check(message.error(), "MPI_Type_create_struct", pending);
    check(MPI_Isend(bytes.data(), message.count(), message.type(), peer_of(pending), mpi_tag,
                    communicator_, &pending.request),
          "MPI_Isend", pending);
    return keep(pending);
  }

  Request receive(RankId from, std::int64_t tag, std::span<std::byte> bytes) override {
    Pending pending{MPI_REQUEST_NULL, Side::receive, from, tag, std::ssize(bytes)};
    const int mpi_tag = map_tag(pending);
    const ByteMessage message(pending.bytes, limits_.largest_count);
    check(message.error(), "MPI_Type_create_struct", pending);
    check(MPI_Irecv(bytes.data(), message.count(), message.type(), peer_of(pending), mpi_tag,
                    communicator_, &pending.request),
          "MPI_Irecv", pending);
    return keep(pending);
  }

  bool test(Request request) override {
    const auto found = pending_.find(request.id);
    REHEARSE_CHECK(found != pending_.end(), "rank {} has no request {} under way", rank_,
                   request.id);
    Pending& pending = found->second;
    int done = 0;
    MPI_Status status;
    const int error = MPI_Test(&pending.request, &done, &status);
    if (error != MPI_SUCCESS && is_truncation(error)) check_length(pending, status);
    check(error, "MPI_Test", pending);
    if (done == 0) return false;
    if (pending.side == Side::receive) check_length(pending, status);
    pending_.erase(found);
    return true;
  }

  void abort(const std::string& message) override {
    fmt::print(stderr, "{}\n", message);
    std::fflush(stderr);
    MPI_Abort(communicator_, EXIT_FAILURE);
    std::_Exit(EXIT_FAILURE);  // MPI_Abort does not return, but is not declared so
  }

 private:
  struct Pending {
    MPI_Request request;
    Side side;
    RankId peer;
    std::int64_t tag;
    std::int64_t bytes;
  };

  static int peer_of(const Pending& pending) { return static_cast<int>(pending.peer.value()); }

  Request keep(const Pending& pending) {
    pending_.emplace(++last_id_, pending);
    return {last_id_};
  }

  // MPI's tags begin at 0 and ours at -kOwnTags.
  int map_tag(const Pending& pending) {
    if (pending.tag > largest_tag_) {
      abort(fmt::format("rank {}: {} rank {}: tag {} is beyond {}, the largest this MPI takes",
                        rank_, direction(pending), pending.peer.value(), pending.tag,
                        largest_tag_));
    }
    return static_cast<int>(pending.tag + kOwnTags);
  }

  static const char* direction(const Pending& pending) {
    return pending.side == Side::send ? "to" : "from";
  }

  // A receive that is longer than its send is no error to MPI; to us it is one.
  void check_length(const Pending& pending, MPI_Status& status) {
    MPI_Count arrived = 0;
    check(MPI_Get_elements_x(&status, MPI_BYTE, &arrived), "MPI_Get_elements_x", pending);
    if (arrived == pending.bytes) return;
    abort(length_mismatch(rank(), pending.peer, pending.tag, pending.bytes, arrived));
  }

  // The one place where MPI's error codes end.
  void check(int error, const char* call) {
    if (error == MPI_SUCCESS) return;
    abort(fmt::format("rank {}: {}: {}", rank_, call, error_text(error)));
  }

  void check(int error, const char* call, const Pending& pending) {
    if (error == MPI_SUCCESS) return;
    abort(fmt::format("rank {}: {} {} rank {}, tag {}: {}", rank_, call, direction(pending),
                      pending.peer.value(), pending.tag, error_text(error)));
  }

  MpiLimits limits_;
  MPI_Comm communicator_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  std::int64_t largest_tag_ = 0;
  std::map<std::uint64_t, Pending> pending_;
  std::uint64_t last_id_ = 0;
};

MpiSession::MpiSession(const MpiLimits& limits) : exceptions_at_start_(std::uncaught_exceptions()) {
  int initialized = 0, provided = 0;
  MPI_Initialized(&initialized);
  REHEARSE_CHECK(initialized == 0, "a process can have one MpiSession only");
  deepen_pipeline();
  // One thread per rank calls MPI.
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  transport_ = std::make_unique<MpiTransport>(limits);
  if (provided < MPI_THREAD_FUNNELED) {
    transport_->abort("this MPI library cannot be used in a program with threads");
  }
}

MpiSession::~MpiSession() {
  if (std::uncaught_exceptions() > exceptions_at_start_) {
    transport_->abort(fmt::format("rank {}: left by an exception", transport_->rank().value()));
  }
  // MPI_Finalize waits for all ranks by spinning; the barrier before it sleeps.
  transport_->barrier();
  transport_.reset();
  MPI_Finalize();
}

Transport& MpiSession::transport() {
  return *transport_;
}

bool mpi_takes_gpu_memory() {
#ifdef MPIX_CUDA_AWARE_SUPPORT  // 0 or 1: of the library that this was compiled with
  return MPIX_Query_cuda_support() == 1;
#else
  return false;  // nobody to ask
#endif
}

void run_mpi(const std::function<void(Transport&)>& body) {
  MpiSession session;
  try {
    body(session.transport());
  } catch (const std::exception& error) {
    session.transport().abort(error.what());
  }
}

}  // namespace rehearse::exec
