#include "exec/cuda/check.h"

#include <stdexcept>

#include "model/base/text.h"

namespace rehearse::exec::cuda {
namespace {

[[noreturn]] void fail(const char* what, const char* why) {
  throw std::runtime_error(std::string("CUDA: ") + what + ": " + why);
}

}  // namespace

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail(what, cudaGetErrorString(error));
}

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail(what, REHEARSE_LAZY(kBlas, cublasLtGetStatusString)(status));
}

void check(cudnnStatus_t status, const char* what) {
  if (status != CUDNN_STATUS_SUCCESS) fail(what, REHEARSE_LAZY(kDnn, cudnnGetErrorString)(status));
}

}  // namespace rehearse::exec::cuda
