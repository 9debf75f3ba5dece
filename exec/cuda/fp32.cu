#include "exec/cuda/backends.h"
#include "exec/cuda/launch.cuh"
#include "exec/cuda/queue_backend.h"

namespace rehearse::exec::cuda {

std::unique_ptr<Backend> make_fp32_backend(int gpu) {
  return std::make_unique<QueueBackend<float, CudaQueues>>("cuda", DataType::fp32,
                                                           std::make_unique<CudaQueues>(gpu));
}

}  // namespace rehearse::exec::cuda
