// The matrix products of a kernel.
#pragma once

#include <vector>

#include "model/net/lowering.h"

namespace rehearse::lowering {

// Of linear layers, convolutions and attention; of others none.
std::vector<Product> products_of(const Net& net, const KernelStep& step, std::int64_t samples,
                                 const ElementSizes& sizes);

}  // namespace rehearse::lowering
