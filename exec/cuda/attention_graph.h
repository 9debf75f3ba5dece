// Attention as a graph of operations.
#pragma once

#include <vector>

#include "exec/cuda/products.h"
#include "exec/cuda/tensor_graph.h"

namespace rehearse::exec::cuda {

// In the shape in which cuDNN looks for its kernel (as its C++ front end makes it,
// node/scaled_dot_product_flash_attention.h of NVIDIA/cudnn-frontend); formulas:
// exec/cpu/reference/attention.cc. Dimensions are samples, heads, queries (or keys), and keys (or a
// head's elements).
struct AttentionGraph {
  TensorGraph graph;
  std::vector<std::size_t> operands;  // q, k, v, o, sums; backward also d_o, d_q, d_k, d_v, means
};
// Of so many of its samples. means: a row of wide numbers per head that backward works with.
AttentionGraph attention_graph(const FusedAttention& attention, std::int64_t samples);

// Where the operands lie, from this sample on.
std::vector<void*> operands_of(const FusedAttention& attention, std::int64_t sample, void* means);

}  // namespace rehearse::exec::cuda
