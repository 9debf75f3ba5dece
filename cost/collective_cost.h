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
#include "model/collective/all_to_all.h"
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
// its thread does both, and ranks_per_node threads share the cores. protocol: one of the device's;
// null: none.
MessageCost exchange_cost(const Device& device, const Path& path, std::int64_t ranks_per_node,
                          const MessageProtocol* protocol = nullptr);

// From a collective's start to its first message: launching its kernels, and their pass over the
// first range.
Seconds start_seconds(const Device& device, const CollectiveShape& shape, std::int64_t elements,
                      std::int64_t element_bytes, const MessageProtocol* protocol = nullptr);

// The protocol of a device (null: none) by which it takes the least time, and that: seconds_by says
// how long by each.
struct FastestProtocol {
  const MessageProtocol* protocol = nullptr;
  Seconds seconds;
};
template <class SecondsBy>
FastestProtocol fastest_protocol(const Device& device, const SecondsBy& seconds_by) {
  FastestProtocol best{nullptr, seconds_by(nullptr)};
  for (const MessageProtocol& protocol : device.messaging.protocols) {
    const Seconds seconds = seconds_by(&protocol);
    if (seconds < best.seconds) best = {&protocol, seconds};
  }
  return best;
}

Seconds send_seconds(const MessageCost& cost, Bytes bytes);

// Ring all-reduce of n elements over c members (Patarasuk and Yuan, "Bandwidth optimal all-reduce
// algorithms for clusters of workstations", JPDC 69(2), 2009, section 3.2): with chunks of n/c,
//   2 (c-1) alpha + 2 (c-1)/c n beta + (c-1)/c n gamma, of an exchange's alpha and beta;
// where c does not divide n, each step takes as long as its largest chunk, ceil(n/c).
Seconds ring_all_reduce_seconds(const MessageCost& cost, std::size_t members, std::int64_t elements,
                                std::int64_t element_bytes);

// Messages between members on one node, and between nodes, each if it has its node's link to
// itself.
struct LevelCosts {
  MessageCost node, network;
};

// A collective of n elements over c members, G = node_members of which are neighbours on each node.
// Steps that leave nodes cost the network's; if s members of a node send at once, each gets 1/s of
// its link: alpha + s beta m. Ranges are counted by the longest in each step, so that where members
// do not divide n this is above what the lists take, by no more than the rounding.
//
//   ring, pairwise      as above; a half of it for reduce-scatters and all-gathers. A ring leaves a
//                       node in one place, pairwise exchanges in up to G.
//   broadcast           to r others, in ceil(r / sources) + r - 1 steps of n/r
//   bidirectional-ring  two messages at once over one link: a ring's, with ceil(n/c) made even.
//                       Where chunks differ the two drift apart, and may take as much less as the
//                       messages of one channel.
//   doubling            log2 c (alpha + n beta + n gamma) (Thakur et al., section 4.5)
//   halving-doubling    2 log2 c alpha + 2 (c-1)/c n beta + (c-1)/c n gamma (there): the halves'
//                       sum. Members beyond a power of two: 2 alpha + 2 n beta + n gamma more, as
//                       in doubling.
//   double-tree         2 (2 (k-1) + 2 h) steps of a piece, n / 2k, of which half are added, where
//                       h is the trees' height, floor(log2 c) (Sanders, Speck, Traeff 2009, section
//                       3: a piece in two steps, and two steps per edge for the first one). The
//                       lists may take 4 (h - 1) steps less: an inner member receives 2k pieces on
//                       the way up and sends as many down, so that 4k are needed. Of a node two
//                       members send at once: each tree leaves it with two edges, of which one
//                       carries something in a step.
//   hierarchical        2 (G-1) (alpha + n/G beta) + (G-1) n/G gamma inside a node, and a ring of
//                       n/G over the c/G nodes, in which all G members send at once
//   in-network          alpha + n beta: everything goes up while sums come down (Graham et al.,
//                       COMHPC 2016); alpha of a message through the switch that adds. Where that
//                       is the switch among the G devices of a node, which each ask it for the sums
//                       of a part and store them to all (NVLS), beta is (1 + 1/G) times the link's,
//                       by the share of its rate at which it adds.
Seconds collective_seconds(const CollectiveShape& shape, const LevelCosts& costs,
                           std::int64_t elements, std::int64_t element_bytes);
// Where all messages cost the same, whoever sends at once.
Seconds collective_seconds(const CollectiveShape& shape, const MessageCost& cost,
                           std::int64_t elements, std::int64_t element_bytes);

// An all-to-all of a block of so many bytes for every member. direct: (c-1) (alpha + m beta).
// bruck: a step per bit, with as many blocks as have it: log2 c (alpha + c/2 m beta) for powers of
// two (Bruck et al., IEEE TPDS 8(11), 1997, section 3).
Seconds all_to_all_seconds(AllToAllAlgorithm algorithm, const MessageCost& cost,
                           std::size_t members, Bytes block);

}  // namespace rehearse
