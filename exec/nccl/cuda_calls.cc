#include "exec/nccl/cuda_calls.h"

#include <cuda_runtime.h>
#include <fmt/format.h>
#include <nccl.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <stdexcept>

#include "exec/cuda/library.h"

namespace rehearse::exec {
namespace {

constexpr cuda::Library kNccl{REHEARSE_NCCL_NAME, REHEARSE_NCCL_FILE};

#define REHEARSE_NCCL(function, ...) check(REHEARSE_LAZY(kNccl, function)(__VA_ARGS__), #function)
#define REHEARSE_CUDA_CALL(call) check((call), #call)

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess)
    throw std::runtime_error(fmt::format("CUDA: {}: {}", what, cudaGetErrorString(error)));
}

// Calls of communicators that do not block may answer that they are in progress.
void check(ncclResult_t result, const char* what) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  const std::string last = REHEARSE_LAZY(kNccl, ncclGetLastError)(nullptr);
  throw std::runtime_error(fmt::format("NCCL: {}: {}{}{}", what,
                                       REHEARSE_LAZY(kNccl, ncclGetErrorString)(result),
                                       last.empty() ? "" : ": ", last));
}

ncclComm_t of(NcclCommunicator* communicator) {
  return reinterpret_cast<ncclComm_t>(communicator);
}
cudaStream_t of(NcclStream* stream) {
  return reinterpret_cast<cudaStream_t>(stream);
}

// Thread blocks of a group, which are channels: of a pair's traffic only.
constexpr int kBlocks = 4;
// Groups at once, where the device has multiprocessors for all of them: a block of NCCL takes most
// of one. Kernels that compute leave theirs when they are done.
constexpr std::size_t kMostKernels = 8;

class CudaNccl : public NcclCalls {
 public:
  CudaNccl() {
    int gpu = 0, multiprocessors = 0;
    REHEARSE_CUDA_CALL(cudaGetDevice(&gpu));
    REHEARSE_CUDA_CALL(
        cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, gpu));
    most_kernels_ = std::clamp<std::size_t>(static_cast<std::size_t>(multiprocessors / kBlocks), 1,
                                            kMostKernels);
    int lowest = 0;
    REHEARSE_CUDA_CALL(cudaDeviceGetStreamPriorityRange(&lowest, &priority_));
  }

  NcclId new_id() override {
    ncclUniqueId unique;
    REHEARSE_NCCL(ncclGetUniqueId, &unique);
    NcclId id;
    static_assert(sizeof unique == sizeof id.bytes);
    std::memcpy(id.bytes.data(), &unique, sizeof unique);
    return id;
  }

  NcclCommunicator* begin_communicator(const NcclId& id, int ranks, int rank) override {
    ncclUniqueId unique;
    std::memcpy(&unique, id.bytes.data(), sizeof unique);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    config.maxCTAs = kBlocks;
    ncclComm_t communicator = nullptr;
    REHEARSE_NCCL(ncclCommInitRankConfig, &communicator, ranks, unique, rank, &config);
    return reinterpret_cast<NcclCommunicator*>(communicator);
  }

  bool is_in_progress(NcclCommunicator* communicator) override {
    ncclResult_t state = ncclSuccess;
    REHEARSE_NCCL(ncclCommGetAsyncError, of(communicator), &state);
    check(state, "a call under way");
    return state == ncclInProgress;
  }

  void start_group() override { REHEARSE_NCCL(ncclGroupStart); }
  void send(const void* from, std::size_t bytes, int to, NcclCommunicator* communicator,
            NcclStream* stream) override {
    REHEARSE_NCCL(ncclSend, from, bytes, ncclChar, to, of(communicator), of(stream));
  }
  void receive(void* into, std::size_t bytes, int from, NcclCommunicator* communicator,
               NcclStream* stream) override {
    REHEARSE_NCCL(ncclRecv, into, bytes, ncclChar, from, of(communicator), of(stream));
  }
  void end_group() override { REHEARSE_NCCL(ncclGroupEnd); }

  void begin_end(NcclCommunicator* communicator) override {
    REHEARSE_NCCL(ncclCommFinalize, of(communicator));
  }
  void destroy(NcclCommunicator* communicator) override {
    REHEARSE_NCCL(ncclCommDestroy, of(communicator));
  }
  // Whatever it answers, nobody is left to be told.
  void abort(NcclCommunicator* communicator) override {
    static_cast<void>(REHEARSE_LAZY(kNccl, ncclCommAbort)(of(communicator)));
  }

  // Before what computes: the other rank waits for it.
  NcclStream* new_stream() override {
    cudaStream_t stream = nullptr;
    REHEARSE_CUDA_CALL(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, priority_));
    return reinterpret_cast<NcclStream*>(stream);
  }
  bool is_done(NcclStream* stream) override {
    const cudaError_t state = cudaStreamQuery(of(stream));
    if (state == cudaErrorNotReady) {
      static_cast<void>(cudaGetLastError());  // or the next launch would be told of it
      return false;
    }
    check(state, "cudaStreamQuery");
    return true;
  }
  void destroy(NcclStream* stream) override { static_cast<void>(cudaStreamDestroy(of(stream))); }

  std::size_t most_kernels() const override { return most_kernels_; }

 private:
  std::size_t most_kernels_ = 1;
  int priority_ = 0;
};

}  // namespace

Result<std::string> nccl_version() {
  int version = 0;
  try {
    REHEARSE_NCCL(ncclGetVersion, &version);
  } catch (const std::exception& problem) {
    return error(problem.what());
  }
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::unique_ptr<NcclCalls> make_nccl_calls() {
  return std::make_unique<CudaNccl>();
}

}  // namespace rehearse::exec
