// What the CUDA backend says and does where there is no GPU, and may be looked at where there is
// one: its libraries and their answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exec/cuda/check.h"
#include "exec/cuda/cuda_backend.h"

namespace rehearse::exec {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(CudaLibraries, AreLoadedWhenTheyAreCalled) {
  EXPECT_NE(cuda::symbol_of(cuda::kBlas, "cublasLtMatmul"), nullptr);
  EXPECT_NE(cuda::symbol_of(cuda::kDnn, "cudnnConvolutionForward"), nullptr);
}

TEST(CudaLibraries, AreMissedByName) {
  const auto missing = [] { cuda::symbol_of(cuda::kBlas, "cublasLtMakeCoffee"); };
  EXPECT_THAT(missing, ThrowsMessage<std::runtime_error>(HasSubstr("cublasLtMakeCoffee")));
  const auto nowhere = [] { cuda::symbol_of({"libnone.so.1", "/none/libnone.so"}, "none"); };
  EXPECT_THAT(nowhere, ThrowsMessage<std::runtime_error>(HasSubstr("libnone")));
}

TEST(CudaErrors, HaveTheLibrarysWords) {
  const auto out_of_memory = [] { cuda::check(cudaErrorMemoryAllocation, "cudaMalloc"); };
  EXPECT_THAT(out_of_memory, ThrowsMessage<std::runtime_error>("CUDA: cudaMalloc: out of memory"));
  const auto not_supported = [] { cuda::check(CUBLAS_STATUS_NOT_SUPPORTED, "cublasLtMatmul"); };
  EXPECT_THAT(not_supported, ThrowsMessage<std::runtime_error>(HasSubstr("not supported")));
  const auto bad = [] { cuda::check(CUDNN_STATUS_BAD_PARAM, "cudnnSetStream"); };
  EXPECT_THAT(bad, ThrowsMessage<std::runtime_error>(HasSubstr("BAD_PARAM")));
  EXPECT_NO_THROW(cuda::check(cudaSuccess, "cudaMalloc"));
}

TEST(CudaBackend, IsMadeOfAGpuOrNotAtAll) {
  if (count_gpus()) {
    EXPECT_EQ(make_cuda_backend(DataType::fp32, 0)->name(), "cuda");
  } else {
    EXPECT_THROW(make_cuda_backend(DataType::fp32, 0), std::runtime_error);
  }
}

}  // namespace
}  // namespace rehearse::exec
