#include "exec/cuda/backends.h"
#include "exec/cuda/launch.cuh"
#include "exec/cuda/queue_backend.h"

namespace rehearse::exec::cuda {

std::unique_ptr<Backend> make_fp32_backend(DataType type, int gpu, const CudaOptions& options) {
  const auto products = type == DataType::tf32 ? Fp32Products::tf32 : Fp32Products::exact;
  return std::make_unique<QueueBackend<float, CudaQueues>>(
      "cuda", type, std::make_unique<CudaQueues>(gpu, products),
      options.fuses ? Pairs::all : Pairs::none);
}

}  // namespace rehearse::exec::cuda
