// Message tags of the executor. Messages of one tag between two ranks arrive in order, and a rank
// runs the collectives of one lane one after another in an order that all ranks share, so that one
// tag per channel serves all of a lane's kind.
#pragma once

#include <cstdint>

#include "model/plan/plan.h"

namespace rehearse::exec {

inline constexpr std::int64_t kParameterTag = 0;  // assembling the model after training
inline constexpr std::int64_t kTransitionTag =
    1 + (static_cast<std::int64_t>(LaneKind::tensor) + 1) *
            static_cast<std::int64_t>(kMostChannels);  // state, from one plan to the next
inline constexpr std::int64_t kFirstTransferTag = kTransitionTag + 1;
// Of its first channel.
inline std::int64_t collective_tag(LaneKind lane) {
  return 1 + static_cast<std::int64_t>(lane) * static_cast<std::int64_t>(kMostChannels);
}

}  // namespace rehearse::exec
