// How long messages are on their way by a protocol.
#pragma once

#include <algorithm>

#include "model/cluster/device.h"

namespace rehearse {

// What a protocol spares is software's time, never the signal's: of a step over a network NCCL
// takes 14.0 us by Simple and 2.7 by LL (src/graph/tuning.cc, a ring's latencies of hardware).
inline constexpr Seconds kMostSpared = Seconds::microseconds(11.3);

// Of so many messages one after the other, which take `latency` together without a protocol (null).
inline Seconds latency_by(const MessageProtocol* protocol, Seconds latency, double messages = 1) {
  return std::max(latency * latency_share(protocol), latency - kMostSpared * messages);
}

}  // namespace rehearse
