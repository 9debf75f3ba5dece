// Calls of CUDA and its libraries, and what they answer.
//
// The libraries are loaded when they are first called: they are large, and programs that never come
// to a GPU should neither wait for them nor need them.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <cudnn.h>

namespace rehearse::exec::cuda {

// Throw std::runtime_error with the library's own words for anything but success: that ends the job
// with the reason. what: "cudaMalloc", ...
void check(cudaError_t error, const char* what);
void check(cublasStatus_t status, const char* what);
void check(cudnnStatus_t status, const char* what);

// As libraries are found: by the loader, or where they were when this was built.
struct Library {
  const char* name;
  const char* built_with;
};
inline constexpr Library kBlas{REHEARSE_CUBLASLT_NAME, REHEARSE_CUBLASLT_FILE};
inline constexpr Library kDnn{REHEARSE_CUDNN_NAME, REHEARSE_CUDNN_FILE};
// A function of one of them. Throws std::runtime_error where there is none.
void* symbol_of(const Library& library, const char* function);

#define REHEARSE_LAZY(library, function)                              \
  (*[] {                                                              \
    static const auto loaded = reinterpret_cast<decltype(&function)>( \
        ::rehearse::exec::cuda::symbol_of(library, #function));       \
    return loaded;                                                    \
  }())

#define REHEARSE_CUDA(call) ::rehearse::exec::cuda::check((call), #call)
#define REHEARSE_BLAS(function, ...) \
  ::rehearse::exec::cuda::check(     \
      REHEARSE_LAZY(::rehearse::exec::cuda::kBlas, function)(__VA_ARGS__), #function)
#define REHEARSE_DNN(function, ...) \
  ::rehearse::exec::cuda::check(    \
      REHEARSE_LAZY(::rehearse::exec::cuda::kDnn, function)(__VA_ARGS__), #function)

}  // namespace rehearse::exec::cuda
