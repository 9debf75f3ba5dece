// What the CUDA backend says and does where there is no GPU, and may be looked at where there is
// one: its libraries and their answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exec/cuda/check.h"
#include "exec/cuda/cuda_backend.h"
#include "exec/cuda/matmul_description.h"

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

// ---- what the library is told of a product ------------------------------------------------------

const auto* const kAligned = reinterpret_cast<const std::byte*>(std::uintptr_t{1} << 12);

// y = x W^T of 24 rows, 32 to 64.
cuda::Product product_of(cuda::Epilogue epilogue, bool has_bias) {
  cuda::Product product;
  product.m = 24, product.n = 64, product.k = 32;
  product.a = {kAligned, 32};
  product.b = {.at = kAligned, .row = 32, .transposed = true};
  product.c_row = 64;
  product.in = product.out = cuda::Element::bf16;
  product.epilogue = epilogue;
  if (epilogue != cuda::Epilogue::none) product.x = const_cast<std::byte*>(kAligned);
  if (has_bias) product.bias = kAligned + 64;
  return product;
}

template <class Value>
Value told(const cuda::MatmulDescription& description, cublasLtMatmulDescAttributes_t attribute) {
  Value value{};
  std::size_t written = 0;
  REHEARSE_LAZY(cuda::kBlas, cublasLtMatmulDescGetAttribute)
  (description.get(), attribute, &value, sizeof value, &written);
  EXPECT_EQ(written, sizeof value);
  return value;
}

cublasLtEpilogue_t told_epilogue(cuda::Epilogue epilogue, bool has_bias) {
  const cuda::MatmulDescription description(product_of(epilogue, has_bias),
                                            cuda::Fp32Products::exact);
  return told<cublasLtEpilogue_t>(description, CUBLASLT_MATMUL_DESC_EPILOGUE);
}

TEST(CudaProducts, HaveTheirEpilogue) {
  using cuda::Epilogue;
  EXPECT_EQ(told_epilogue(Epilogue::none, false), CUBLASLT_EPILOGUE_DEFAULT);
  EXPECT_EQ(told_epilogue(Epilogue::none, true), CUBLASLT_EPILOGUE_BIAS);
  EXPECT_EQ(told_epilogue(Epilogue::gelu, false), CUBLASLT_EPILOGUE_GELU_AUX);
  EXPECT_EQ(told_epilogue(Epilogue::gelu, true), CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
  EXPECT_EQ(told_epilogue(Epilogue::gelu_gradient, false), CUBLASLT_EPILOGUE_DGELU);
}

// Rows of ours are the library's columns: theirs is W times x^T, and X's columns are as far apart
// as C's rows.
TEST(CudaProducts, AreToldColumnByColumn) {
  cuda::Product product = product_of(cuda::Epilogue::gelu, true);
  cuda::MatmulDescription description(product, cuda::Fp32Products::exact);
  EXPECT_EQ(told<std::int32_t>(description, CUBLASLT_MATMUL_DESC_TRANSA), CUBLAS_OP_T);
  EXPECT_EQ(told<std::int32_t>(description, CUBLASLT_MATMUL_DESC_TRANSB), CUBLAS_OP_N);
  EXPECT_EQ(told<std::int64_t>(description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD), 64);
  EXPECT_EQ(told<std::int32_t>(description, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE), CUDA_R_16BF);
  EXPECT_EQ(told<std::int32_t>(description, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE), CUBLAS_COMPUTE_32F);
  product.x = const_cast<std::byte*>(kAligned + 1024), product.bias = kAligned + 128;
  description.point(product);
  EXPECT_EQ(told<const void*>(description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER), product.x);
  EXPECT_EQ(told<const void*>(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER), product.bias);
}

// 16 bytes at a time, rows of 8.
TEST(CudaProducts, HaveEpiloguesWhereTheirOperandsLieAsTheLibraryReadsThem) {
  for (const cuda::Epilogue epilogue : {cuda::Epilogue::gelu, cuda::Epilogue::gelu_gradient}) {
    const cuda::Product good = product_of(epilogue, false);
    EXPECT_TRUE(cuda::suits_epilogue(good));
    cuda::Product bad = good;
    bad.x = const_cast<std::byte*>(kAligned + 8);
    EXPECT_FALSE(cuda::suits_epilogue(bad));
    bad = good;
    bad.n = bad.c_row = 60;
    EXPECT_FALSE(cuda::suits_epilogue(bad));
    bad = good;
    bad.batch = 2;
    EXPECT_FALSE(cuda::suits_epilogue(bad));
  }
  cuda::Product plain = product_of(cuda::Epilogue::none, false);
  plain.n = plain.c_row = 61;
  EXPECT_TRUE(cuda::suits_epilogue(plain));
  plain.bias = kAligned + 2;
  EXPECT_FALSE(cuda::suits_epilogue(plain));
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
