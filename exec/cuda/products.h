// Matrix products, convolutions and fused attention as ops ask for them.
#pragma once

#include <cstdint>

#include "model/net/layer.h"

namespace rehearse::exec::cuda {

// What elements are stored in; products are summed in fp32 (of fp64 in fp64).
enum class Element { bf16, fp32, fp64 };

// Whether products of fp32 may round their operands to tf32.
enum class Fp32Products { exact, tf32 };

// What becomes of a product's elements before they are stored, with GELU in its tanh form (what
// cuBLASLt computes):
//   gelu            X = the product is stored beside, C = GELU(X)
//   gelu_gradient   C = the product times the slope of GELU at X, which is read
enum class Epilogue { none, gelu, gelu_gradient };

// C = alpha op(A) op(B) + beta C, row by row, `batch` times: op(A) is m x k, op(B) k x n, C m x n;
// transposed operands are stored n by m. `row` is the distance of two rows as they are stored,
// `next` that of two matrices of the batch (0: all the same), in elements.
struct Product {
  std::int64_t m = 0, n = 0, k = 0;
  struct Operand {
    const void* at = nullptr;
    std::int64_t row = 0, next = 0;
    bool transposed = false;
  };
  Operand a, b;
  void* c = nullptr;
  std::int64_t c_row = 0, c_next = 0;
  std::int64_t batch = 1;
  double alpha = 1, beta = 0;
  Element in = Element::fp32, out = Element::fp32;  // of A and B, of C
  const void* bias = nullptr;                       // of `in`, added to every row of C
  Epilogue epilogue = Epilogue::none;               // of a product that is no batch
  void* x = nullptr;                                // of the epilogue; lies as C does
};

// One of a convolution's three: y of x and w, dx of dy and w, dw of x and dy; channels last.
enum class ConvolutionPass { forward, backward_input, backward_weight };
struct Convolution {
  ConvolutionPass pass = ConvolutionPass::forward;
  Conv2d shape{};
  std::int64_t samples = 0;
  std::int64_t height = 0, width = 0;              // of x
  std::int64_t out_height = 0, out_width = 0;      // of y
  const void *first = nullptr, *second = nullptr;  // x w, dy w, x dy
  void* result = nullptr;
  bool adds = false;  // to the result, or overwrites it
  Element element = Element::fp32;
};

// Attention in one kernel that keeps no scores, forward or backward: what it needs of them is the
// logarithm of their sums, fp32 by [sample, head, position].
enum class AttentionPass { forward, backward };
struct FusedAttention {
  // Where heads lie, in elements from one to the next; a head's own elements are neighbours.
  struct Layout {
    std::int64_t heads = 0, sample = 0, head = 0, position = 0;
  };
  AttentionPass pass = AttentionPass::forward;
  std::int64_t samples = 0, positions = 0, head_size = 0;
  bool causal = false;
  double scale = 1;
  Element element = Element::fp32;
  Layout queries, keys, out;  // values lie as keys do, gradients as what they are of
  const void *q = nullptr, *k = nullptr, *v = nullptr;
  void *o = nullptr, *sums = nullptr;                   // written by forward, read by backward
  const void* d_o = nullptr;                            // backward only
  void *d_q = nullptr, *d_k = nullptr, *d_v = nullptr;  // backward only
};

}  // namespace rehearse::exec::cuda
