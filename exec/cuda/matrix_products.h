// Matrix products by cuBLASLt.
#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "exec/cuda/products.h"

namespace rehearse::exec::cuda {

// The library's choices are kept by shape and alignment: it is asked once for each. Sums are fp32.
class MatrixProducts {
 public:
  explicit MatrixProducts(Fp32Products of_fp32);
  MatrixProducts(const MatrixProducts&) = delete;
  MatrixProducts& operator=(const MatrixProducts&) = delete;
  ~MatrixProducts();

  // What the library may use for one product.
  std::size_t workspace_bytes() const { return std::size_t{32} << 20; }
  // Whether the library has it in one kernel, with its bias and its epilogue.
  bool is_possible(const Product& product);
  void run(const Product& product, void* workspace, cudaStream_t stream);

 private:
  class Prepared;
  using Key = std::vector<std::int64_t>;
  static Key key_of(const Product& product);
  Prepared& prepared(const Product& product);

  cublasLtHandle_t handle_ = nullptr;
  Fp32Products of_fp32_;
  std::map<Key, std::unique_ptr<Prepared>> prepared_;
};

}  // namespace rehearse::exec::cuda
