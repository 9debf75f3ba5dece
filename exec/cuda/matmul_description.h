// What cuBLASLt is told of a product beside its matrices: types, transposes and what comes behind.
// Needs no GPU.
#pragma once

#include <cublasLt.h>

#include "exec/cuda/products.h"

namespace rehearse::exec::cuda {

cudaDataType_t type_of(Element element);

cublasLtEpilogue_t epilogue_of(const Product& product);

// Whether a bias and the X of an epilogue lie as the library's kernels read them: 16 bytes at a
// time, rows of X a multiple of 8 elements (CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD).
bool suits_epilogue(const Product& product);

// The library's A is our B and the other way round: it counts column by column.
class MatmulDescription {
 public:
  MatmulDescription(const Product& product, Fp32Products of_fp32);
  MatmulDescription(const MatmulDescription&) = delete;
  MatmulDescription& operator=(const MatmulDescription&) = delete;
  ~MatmulDescription();

  cublasLtMatmulDesc_t get() const { return description_; }
  // To the operands of another product that is described the same.
  void point(const Product& product);

 private:
  template <class Value>
  void set(cublasLtMatmulDescAttributes_t attribute, const Value& value);

  cublasLtMatmulDesc_t description_ = nullptr;
};

}  // namespace rehearse::exec::cuda
