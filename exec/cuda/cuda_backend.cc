#include "exec/cuda/cuda_backend.h"

#include <cuda_runtime.h>

#include <fstream>
#include <sstream>

#include "exec/cuda/backends.h"
#include "exec/cuda/check.h"
#include "model/base/check.h"

namespace rehearse::exec {
namespace {

// "580.65.06", from "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  ..."; where the
// kernel does not say, the newest CUDA that the driver knows.
std::string driver_version() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line;
  std::getline(file, line);
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    const bool is_number = word.find_first_not_of("0123456789.") == std::string::npos;
    if (is_number && word.find('.') != std::string::npos) return word;
  }
  int version = 0;
  REHEARSE_CUDA(cudaDriverGetVersion(&version));
  return fmt::format("CUDA {}.{}", version / 1000, version % 1000 / 10);
}

}  // namespace

Result<int> count_gpus() {
  int count = 0;
  const cudaError_t answer = cudaGetDeviceCount(&count);
  if (answer != cudaSuccess) return error(std::string(cudaGetErrorString(answer)));
  if (count == 0) return error("the driver sees no GPU");
  return count;
}

Gpu describe_gpu(int gpu) {
  cudaDeviceProp properties{};
  REHEARSE_CUDA(cudaGetDeviceProperties(&properties, gpu));
  return {properties.name, driver_version(),
          Bytes::bytes(static_cast<std::int64_t>(properties.totalGlobalMem))};
}

const std::vector<DataType>& cuda_types() {
  static const std::vector<DataType> types = {DataType::bf16, DataType::fp32, DataType::tf32};
  return types;
}

std::unique_ptr<Backend> make_cuda_backend(DataType type, int gpu, const CudaOptions& options) {
  if (type == DataType::bf16) return cuda::make_bf16_backend(gpu, options);
  REHEARSE_CHECK(type == DataType::fp32 || type == DataType::tf32,
                 "CUDA kernels are bf16, fp32 and tf32, not {}", to_string(type));
  return cuda::make_fp32_backend(type, gpu, options);
}

}  // namespace rehearse::exec
