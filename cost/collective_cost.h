// Messages and collectives in closed form: the alpha-beta model.
//
// A message of m bytes takes alpha + beta m; adding m received bytes to one's own takes gamma m
// (Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in MPICH",
// IJHPCA 19(1), 2005, section 3). These are the times of an idle network on which every message has
// a path of its own; the simulator plays the same steps where they share links and threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/base/units.h"
#include "model/cluster/device.h"
#include "model/collective/steps.h"

namespace rehearse {

struct MessageCost {
  Seconds alpha;           // per message
  Seconds beta_per_byte;
  Seconds gamma_per_byte;  // of a reduction
};

// What a message costs between two ranks whose threads handle it one side after the other, over a
// path of this latency and bandwidth; without a path (one node) only what the threads do.
MessageCost message_cost(const Messaging& messaging);
MessageCost message_cost(const Messaging& messaging, Seconds path_latency, BytesPerSecond path_bandwidth);

Seconds send_seconds(const MessageCost& cost, Bytes bytes);

// Ring all-reduce of n elements over c members (Patarasuk and Yuan, "Bandwidth optimal all-reduce
// algorithms for clusters of workstations", JPDC 69(2), 2009, section 3.2): with chunks of n/c,
//   2 (c-1) alpha + 2 (c-1)/c n beta + (c-1)/c n gamma;
// where c does not divide n, each step takes as long as its largest chunk, ceil(n/c).
Seconds ring_all_reduce_seconds(const MessageCost& cost, std::size_t members, std::int64_t elements,
                                std::int64_t element_bytes);

Seconds all_reduce_seconds(CollectiveAlgorithm algorithm, const MessageCost& cost, std::size_t members,
                           std::int64_t elements, std::int64_t element_bytes);

}  // namespace rehearse
