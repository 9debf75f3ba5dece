#include "exec/cuda/backends.h"
#include "exec/cuda/launch.cuh"
#include "exec/cuda/queue_backend.h"

namespace rehearse::exec::cuda {

std::unique_ptr<Backend> make_bf16_backend(int gpu, const CudaOptions& options) {
  return std::make_unique<QueueBackend<BFloat16, CudaQueues>>(
      "cuda", DataType::bf16, std::make_unique<CudaQueues>(gpu),
      options.fuses ? Pairs::all : Pairs::none);
}

}  // namespace rehearse::exec::cuda
