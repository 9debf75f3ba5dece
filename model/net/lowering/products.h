// The matrix products of a kernel.
#pragma once

#include <vector>

#include "model/net/lowering.h"

namespace rehearse::lowering {

// Of linear layers, convolutions and attention; of others none.
std::vector<Product> products_of(const Net& net, const KernelStep& step, std::int64_t samples,
                                 const ElementSizes& sizes);

// What kernels behind a linear layer's weight gradient move where they are Megatron-LM's: its
// products hand the gradient to autograd, which adds it to the sum in a kernel of its own (reads
// both and writes one), but for sums in fp32, to which the product adds itself
// (wgrad_gemm_accum_fp32); and a bias's gradient is summed from the output's.
Bytes moved_behind(const Net& net, const KernelStep& step, std::int64_t samples,
                   const ElementSizes& sizes);

}  // namespace rehearse::lowering
