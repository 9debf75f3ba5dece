#include "exec/cuda/cuda_backend.h"

#include <cuda_runtime.h>

#include "exec/cuda/backends.h"
#include "model/base/check.h"

namespace rehearse::exec {

Result<int> count_gpus() {
  int count = 0;
  const cudaError_t answer = cudaGetDeviceCount(&count);
  if (answer != cudaSuccess) return error(std::string(cudaGetErrorString(answer)));
  if (count == 0) return error("the driver sees no GPU");
  return count;
}

const std::vector<DataType>& cuda_types() {
  static const std::vector<DataType> types = {DataType::bf16, DataType::fp32};
  return types;
}

std::unique_ptr<Backend> make_cuda_backend(DataType type, int gpu) {
  if (type == DataType::bf16) return cuda::make_bf16_backend(gpu);
  REHEARSE_CHECK(type == DataType::fp32, "CUDA kernels are bf16 and fp32, not {}", to_string(type));
  return cuda::make_fp32_backend(gpu);
}

}  // namespace rehearse::exec
