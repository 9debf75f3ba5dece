// Matrix products as kernels see them: what their time depends on besides FLOPs and bytes.
#pragma once

#include <cstdint>

#include "model/base/units.h"

namespace rehearse {

// Queries of a head that a processor has at a time in fused attention (Dao, FlashAttention-2, arXiv
// 2307.08691, section 3.3).
inline constexpr std::int64_t kFusedRows = 128;

// `count` products of [m, k] by [k, n] in one kernel. Convolutions are the products that they are
// as implicit matrix products (Chetlur et al., cuDNN, arXiv 1410.0759, section 3).
struct Product {
  std::int64_t m = 1, n = 1, k = 1, count = 1;
  // Operands and result, each once; gradients of weights are added up: read and written.
  Bytes traffic;
  // Attention's scores and values in one kernel, whose scores never leave its processors.
  bool fused = false;

  Flops flops() const {
    return Flops::flops(2.0 * static_cast<double>(m) * static_cast<double>(n) *
                        static_cast<double>(k) * static_cast<double>(count));
  }
};

}  // namespace rehearse
