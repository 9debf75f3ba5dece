// One file of kernels for each type: nvcc takes its time for each.
#pragma once

#include <memory>

#include "exec/cuda/cuda_backend.h"

namespace rehearse::exec::cuda {

std::unique_ptr<Backend> make_bf16_backend(int gpu, const CudaOptions& options);
std::unique_ptr<Backend> make_fp32_backend(DataType type, int gpu,
                                           const CudaOptions& options);  // fp32 or tf32

}  // namespace rehearse::exec::cuda
