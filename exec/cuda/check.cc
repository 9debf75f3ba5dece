#include "exec/cuda/check.h"

#include <dlfcn.h>

#include <stdexcept>

#include "model/base/text.h"

namespace rehearse::exec::cuda {
namespace {

[[noreturn]] void fail(const char* what, const char* why) {
  throw std::runtime_error(std::string("CUDA: ") + what + ": " + why);
}

}  // namespace

void* symbol_of(const Library& library, const char* function) {
  void* opened = ::dlopen(library.name, RTLD_NOW | RTLD_GLOBAL);
  if (opened == nullptr) {
    const std::string why = ::dlerror();
    opened = ::dlopen(library.built_with, RTLD_NOW | RTLD_GLOBAL);
    if (opened == nullptr) fail(library.name, (why + "; " + ::dlerror()).c_str());
  }
  // Never closed: the same library is counted, not loaded, again.
  void* const found = ::dlsym(opened, function);
  if (found == nullptr) fail(function, ::dlerror());
  return found;
}

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
