#include "exec/cuda/matmul_description.h"

#include <cstdint>

#include "exec/cuda/check.h"
#include "model/base/check.h"

namespace rehearse::exec::cuda {
namespace {

cublasComputeType_t compute_type(Element in, Fp32Products of_fp32) {
  if (in == Element::fp64) return CUBLAS_COMPUTE_64F;
  return in == Element::fp32 && of_fp32 == Fp32Products::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                              : CUBLAS_COMPUTE_32F;
}

bool is_aligned(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) % 16 == 0;
}

}  // namespace

cudaDataType_t type_of(Element element) {
  switch (element) {
    case Element::bf16:
      return CUDA_R_16BF;
    case Element::fp32:
      return CUDA_R_32F;
    case Element::fp64:
      return CUDA_R_64F;
  }
  REHEARSE_UNREACHABLE("element");
}

cublasLtEpilogue_t epilogue_of(const Product& product) {
  const bool has_bias = product.bias != nullptr;
  switch (product.epilogue) {
    case Epilogue::none:
      return has_bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    case Epilogue::gelu:
      return has_bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
    case Epilogue::gelu_gradient:
      REHEARSE_CHECK(!has_bias, "a bias behind a GELU's gradient");
      return CUBLASLT_EPILOGUE_DGELU;
  }
  REHEARSE_UNREACHABLE("epilogue");
}

bool suits_epilogue(const Product& product) {
  if (!is_aligned(product.bias)) return false;
  if (product.epilogue == Epilogue::none) return true;
  return product.batch == 1 && is_aligned(product.x) && product.c_row % 8 == 0;
}

MatmulDescription::MatmulDescription(const Product& p, Fp32Products of_fp32) {
  REHEARSE_BLAS(cublasLtMatmulDescCreate, &description_, compute_type(p.in, of_fp32),
                p.in == Element::fp64 ? CUDA_R_64F : CUDA_R_32F);
  set(CUBLASLT_MATMUL_DESC_TRANSA, p.b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_TRANSB, p.a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p));
  if (p.bias != nullptr) set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type_of(p.in));
  if (p.epilogue != Epilogue::none) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, p.c_row);
  point(p);
}

MatmulDescription::~MatmulDescription() {
  REHEARSE_LAZY(kBlas, cublasLtMatmulDescDestroy)(description_);
}

void MatmulDescription::point(const Product& p) {
  if (p.bias != nullptr) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
  if (p.epilogue != Epilogue::none) set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, p.x);
}

template <class Value>
void MatmulDescription::set(cublasLtMatmulDescAttributes_t attribute, const Value& value) {
  REHEARSE_BLAS(cublasLtMatmulDescSetAttribute, description_, attribute, &value, sizeof value);
}

}  // namespace rehearse::exec::cuda
