// Message tags of the executor. Messages of one tag between two ranks arrive in order, and a rank
// runs its collectives one after another in an order that all ranks share, so that one tag serves
// them all.
#pragma once

#include <cstdint>

namespace rehearse::exec {

inline constexpr std::int64_t kCollectiveTag = 0;
inline constexpr std::int64_t kParameterTag = 1;  // assembling the model after training
inline constexpr std::int64_t kFirstTransferTag = 2;

}  // namespace rehearse::exec
