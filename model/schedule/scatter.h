// Messages of which tensor-parallel ranks send a share each.
#pragma once

#include <cstdint>

#include "model/net/net.h"
#include "model/schedule/strategy.h"

namespace rehearse {

// Where check_pipeline() has nothing against it.
inline bool scatters(const StrategySpec& strategy) {
  return strategy.pipeline && strategy.pipeline->scatter_gather;
}

// Shares are of whole elements, and all alike. Errors: what crosses blocks does not divide so.
Status check_shares(const Net& net, std::int64_t ways);

// Of what divides.
Bytes share_of(Bytes whole, std::int64_t ways);

}  // namespace rehearse
