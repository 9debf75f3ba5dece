// Convolutions and matrix products on oneDNN.
//
// The library picks the layout of the weights: in our dense one ([out, kernel, kernel, in]) it
// falls back to a kernel a thousand times slower. So every run first reorders the weights, and the
// weights' gradient is reordered back, which costs little beside the product.
#pragma once

#include <optional>

#include "exec/cpu/onednn/call.h"
#include "exec/cpu/onednn/kernels.h"

namespace rehearse::exec::onednn {

// y = product(x, w) or dx = product(dy, w).
struct ProductOperands {
  int from, to;  // DNNL_ARG_SRC and _DST, or _DIFF_DST and _DIFF_SRC
};
std::unique_ptr<Kernel> make_product(const SharedSession& session, const dnnl::primitive& primitive,
                                     const dnnl::primitive_desc_base& description,
                                     const dnnl::memory::desc& dense_weights,
                                     ProductOperands operands);

// dw = product(x, dy) in fp32: overwrites the dense gradient, or is added to it and rounded then.
std::unique_ptr<Kernel> make_weight_gradient(const SharedSession& session,
                                             const dnnl::primitive& primitive,
                                             const dnnl::primitive_desc_base& description,
                                             const dnnl::memory::desc& dense_weights);

}  // namespace rehearse::exec::onednn
