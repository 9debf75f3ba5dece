// Messages and collectives in closed form: the alpha-beta model.
//
// A message of m bytes takes alpha + beta m; adding m received bytes to one's own takes gamma m
// (Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in MPICH",
// IJHPCA 19(1), 2005, section 3). These are the times of an idle network on which every message has
// a path of its own; the simulator plays the same steps where they share links with others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "model/base/units.h"
#include "model/cluster/device.h"
#include "model/collective/steps.h"

namespace rehearse {

struct MessageCost {
  Seconds alpha;  // per message
  Seconds beta_per_byte;
  Seconds gamma_per_byte;  // of a reduction
};

// Between two ranks; without a bandwidth they are on one node, where only threads move bytes.
struct Path {
  Seconds latency;
  std::optional<BytesPerSecond> bandwidth;
};

// One message while all other ranks rest: both threads prepare it at the same time, then it is on
// its way for the latencies, then its bytes flow as fast as the slower of path, threads and the two
// threads' cores lets them. Threads cost nothing per byte on GPUs, where another engine copies.
MessageCost message_cost(const Device& device, const Path& path);

// One step of a collective: every rank of a node sends one message and receives another at once, so
// its thread does both, and ranks_per_node threads share the cores.
MessageCost exchange_cost(const Device& device, const Path& path, std::int64_t ranks_per_node);

Seconds send_seconds(const MessageCost& cost, Bytes bytes);

// Ring all-reduce of n elements over c members (Patarasuk and Yuan, "Bandwidth optimal all-reduce
// algorithms for clusters of workstations", JPDC 69(2), 2009, section 3.2): with chunks of n/c,
//   2 (c-1) alpha + 2 (c-1)/c n beta + (c-1)/c n gamma, of an exchange's alpha and beta;
// where c does not divide n, each step takes as long as its largest chunk, ceil(n/c).
Seconds ring_all_reduce_seconds(const MessageCost& cost, std::size_t members, std::int64_t elements,
                                std::int64_t element_bytes);

Seconds all_reduce_seconds(CollectiveAlgorithm algorithm, const MessageCost& cost,
                           std::size_t members, std::int64_t elements, std::int64_t element_bytes);

}  // namespace rehearse
