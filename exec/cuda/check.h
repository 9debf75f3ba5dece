// Calls of CUDA and its libraries, and what they answer.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <cudnn.h>

#include "exec/cuda/library.h"

namespace rehearse::exec::cuda {

// Throw std::runtime_error with the library's own words for anything but success: that ends the job
// with the reason. what: "cudaMalloc", ...
void check(cudaError_t error, const char* what);
void check(cublasStatus_t status, const char* what);
void check(cudnnStatus_t status, const char* what);

inline constexpr Library kBlas{REHEARSE_CUBLASLT_NAME, REHEARSE_CUBLASLT_FILE};
inline constexpr Library kDnn{REHEARSE_CUDNN_NAME, REHEARSE_CUDNN_FILE};

#define REHEARSE_CUDA(call) ::rehearse::exec::cuda::check((call), #call)
#define REHEARSE_BLAS(function, ...) \
  ::rehearse::exec::cuda::check(     \
      REHEARSE_LAZY(::rehearse::exec::cuda::kBlas, function)(__VA_ARGS__), #function)
#define REHEARSE_DNN(function, ...) \
  ::rehearse::exec::cuda::check(    \
      REHEARSE_LAZY(::rehearse::exec::cuda::kDnn, function)(__VA_ARGS__), #function)

}  // namespace rehearse::exec::cuda
