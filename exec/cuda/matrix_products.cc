#include "exec/cuda/matrix_products.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include "exec/cuda/check.h"
#include "exec/cuda/matmul_description.h"
#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse::exec::cuda {
namespace {

std::int64_t bytes_of(Element element) {
  switch (element) {
    case Element::bf16:
      return 2;
    case Element::fp32:
      return 4;
    case Element::fp64:
      return 8;
  }
  REHEARSE_UNREACHABLE("element");
}

// The largest power of two that the addresses of all matrices of a batch are multiples of, up to
// the 256 that the library takes for granted. next: from one matrix to the next, in bytes.
std::uint32_t alignment_of(const void* address, std::int64_t batch, std::int64_t next) {
  const auto step = static_cast<std::uintptr_t>(batch > 1 ? next : 0);
  const std::uintptr_t bits = reinterpret_cast<std::uintptr_t>(address) | step | 256;
  return static_cast<std::uint32_t>(bits & (~bits + 1));
}
std::uint32_t alignment_of(const Product& p, const Product::Operand& operand) {
  return alignment_of(operand.at, p.batch, operand.next * bytes_of(p.in));
}
std::uint32_t alignment_of_result(const Product& p) {
  return alignment_of(p.c, p.batch, p.c_next * bytes_of(p.out));
}

// A matrix as the library sees it, column by column: rows of ours are its columns.
class Layout {
 public:
  Layout(Element element, std::int64_t rows, std::int64_t columns, std::int64_t stride,
         std::int64_t batch, std::int64_t next) {
    REHEARSE_BLAS(cublasLtMatrixLayoutCreate, &layout_, type_of(element),
                  static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns), stride);
    if (batch == 1) return;
    const auto count = static_cast<std::int32_t>(batch);
    set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, count);
    set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, next);
  }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;
  ~Layout() { REHEARSE_LAZY(kBlas, cublasLtMatrixLayoutDestroy)(layout_); }
  cublasLtMatrixLayout_t get() const { return layout_; }

 private:
  template <class Value>
  void set(cublasLtMatrixLayoutAttribute_t attribute, const Value& value) {
    REHEARSE_BLAS(cublasLtMatrixLayoutSetAttribute, layout_, attribute, &value, sizeof value);
  }
  cublasLtMatrixLayout_t layout_ = nullptr;
};

// Ours is m x k by k x n, row by row; the library's, column by column, is C^T = op(B)^T op(A)^T.
Layout stored(Element element, const Product::Operand& operand, std::int64_t rows,
              std::int64_t columns, std::int64_t batch) {
  if (operand.transposed) std::swap(rows, columns);
  return {element, columns, rows, operand.row, batch, operand.next};
}

}  // namespace

class MatrixProducts::Prepared {
 public:
  Prepared(cublasLtHandle_t handle, const Product& p, Fp32Products of_fp32, std::size_t workspace)
      : handle_(handle),
        b_(stored(p.in, p.b, p.k, p.n, p.batch)),
        a_(stored(p.in, p.a, p.m, p.k, p.batch)),
        c_(p.out, p.n, p.m, p.c_row, p.batch, p.c_next),
        description_(p, of_fp32) {
    choose(p, workspace);
  }

  bool is_possible() const { return is_possible_; }

  void run(const Product& p, void* workspace, std::size_t bytes, cudaStream_t stream) {
    description_.point(p);
    const float alpha = static_cast<float>(p.alpha), beta = static_cast<float>(p.beta);
    const bool is_double = p.in == Element::fp64;
    const void* const scale_alpha = is_double ? static_cast<const void*>(&p.alpha) : &alpha;
    const void* const scale_beta = is_double ? static_cast<const void*>(&p.beta) : &beta;
    REHEARSE_BLAS(cublasLtMatmul, handle_, description_.get(), scale_alpha, p.b.at, b_.get(),
                  p.a.at, a_.get(), scale_beta, p.c, c_.get(), p.c, c_.get(), &algorithm_,
                  workspace, bytes, stream);
  }

 private:
  // The library's first choice, for operands as aligned as these.
  void choose(const Product& p, std::size_t workspace) {
    cublasLtMatmulPreference_t preference = nullptr;
    REHEARSE_BLAS(cublasLtMatmulPreferenceCreate, &preference);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      REHEARSE_BLAS(cublasLtMatmulPreferenceSetAttribute, preference, attribute, &value,
                    sizeof value);
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace);
    // Parts of a sum come together in the type that it is computed in, not in that of the result.
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(p, p.b));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(p, p.a));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of_result(p));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of_result(p));
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    const cublasStatus_t status = REHEARSE_LAZY(kBlas, cublasLtMatmulAlgoGetHeuristic)(
        handle_, description_.get(), b_.get(), a_.get(), c_.get(), c_.get(), preference, 1, &result,
        &found);
    REHEARSE_LAZY(kBlas, cublasLtMatmulPreferenceDestroy)(preference);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && found == 0))
      return;
    check(status, "cublasLtMatmulAlgoGetHeuristic");
    is_possible_ = true;
    algorithm_ = result.algo;
  }

  cublasLtHandle_t handle_;
  Layout b_, a_, c_;
  MatmulDescription description_;
  cublasLtMatmulAlgo_t algorithm_{};
  bool is_possible_ = false;
};

MatrixProducts::MatrixProducts(Fp32Products of_fp32) : of_fp32_(of_fp32) {
  REHEARSE_BLAS(cublasLtCreate, &handle_);
}

MatrixProducts::~MatrixProducts() {
  prepared_.clear();
  REHEARSE_LAZY(kBlas, cublasLtDestroy)(handle_);
}

// All that the library's choice depends on.
MatrixProducts::Key MatrixProducts::key_of(const Product& p) {
  const auto operand = [&](const Product::Operand& it) {
    return Key{it.row, it.next, it.transposed ? 1 : 0, alignment_of(p, it)};
  };
  Key key{p.m,
          p.n,
          p.k,
          p.c_row,
          p.c_next,
          p.batch,
          static_cast<std::int64_t>(p.in),
          static_cast<std::int64_t>(p.out),
          static_cast<std::int64_t>(p.epilogue),
          p.x == nullptr ? 0 : alignment_of(p.x, 1, 0),
          p.bias == nullptr ? 0 : alignment_of(p.bias, 1, 0),
          alignment_of_result(p)};
  for (const Product::Operand& it : {p.a, p.b}) {
    const Key part = operand(it);
    key.insert(key.end(), part.begin(), part.end());
  }
  return key;
}

MatrixProducts::Prepared& MatrixProducts::prepared(const Product& product) {
  std::unique_ptr<Prepared>& it = prepared_[key_of(product)];
  if (!it) it = std::make_unique<Prepared>(handle_, product, of_fp32_, workspace_bytes());
  return *it;
}

bool MatrixProducts::is_possible(const Product& product) {
  return suits_epilogue(product) && prepared(product).is_possible();
}

void MatrixProducts::run(const Product& p, void* workspace, cudaStream_t stream) {
  if (p.m == 0 || p.n == 0) return;
  Prepared& it = prepared(p);
  if (!it.is_possible()) {
    throw std::runtime_error(
        fmt::format("cuBLASLt has no product of {} x {} by {} x {}, rows {}, {} and {} apart, {} "
                    "times",
                    p.m, p.k, p.k, p.n, p.a.row, p.b.row, p.c_row, p.batch));
  }
  it.run(p, workspace, workspace_bytes(), stream);
}

}  // namespace rehearse::exec::cuda
