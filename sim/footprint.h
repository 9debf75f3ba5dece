// What a collective as a whole asks of the machine: bytes over links, latencies one after the
// other, work of its members.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "model/cluster/cluster.h"
#include "model/collective/steps.h"

namespace rehearse::sim {

struct Footprint {
  struct OnLink {
    LinkId link;
    Bytes bytes;
    // Bytes that a link without an efficiency curve carries in the time it takes: more than bytes
    // where messages are small.
    double occupied = 0;
  };
  struct OfMember {
    Bytes sent, received, added;
    std::int64_t sends = 0, receives = 0;
  };
  std::vector<OnLink> links;      // that it crosses, by number
  std::vector<OfMember> members;  // by number in the group
  Bytes first;                    // of each member: the first range that it sends (first_range())
  // Whether members send one another messages, by one protocol or another; otherwise switches add.
  bool has_messages = true;
  // Steps in which anything is sent, of the channel with most of them; and the sum over these of
  // the largest latency of a step's messages, of links alone.
  std::int64_t steps = 0;
  Seconds latency;
  // The same sum of the largest latency and bytes at the full rate of the links: no less time does
  // it take, since steps wait for one another.
  Seconds chain;
};

// The messages of a collective of n elements, whoever its members are: the same for all groups of
// one size.
struct MessagePattern {
  struct Pair {
    std::size_t from, to;
    std::vector<std::pair<std::int64_t, std::int64_t>> sizes;  // elements, and messages of so many
  };
  // Steps in which the same pairs send: their numbers, sorted.
  struct Round {
    std::vector<std::uint32_t> pairs;
    std::int64_t steps = 0;
  };
  struct OfMember {
    std::int64_t sent = 0, received = 0, added = 0;  // elements
    std::int64_t sends = 0, receives = 0;
  };
  std::vector<Pair> pairs;
  std::vector<std::vector<Round>> channels;
  std::vector<OfMember> members;
  std::int64_t first = 0;  // elements
};

// In-network reduction: switches add what comes together on the routes to the first member, and
// what leaves them on the routes from it is one message on every link; its pattern is empty but for
// the members. A node's own switch adds for whoever asks (NVLS: each of the G members there loads
// the sums of its part and stores them to all), so that the links to it carry 1/G more, each way,
// and no more than their `reduction` of what they carry otherwise. O(members x steps)
MessagePattern pattern_of(const CollectiveShape& shape, std::int64_t n);

// members: ranks, in the order in which the group numbers them. O(links of the pairs' routes)
Footprint footprint_of(const Cluster& cluster, const std::vector<RankId>& members,
                       const MessagePattern& pattern, std::int64_t element_bytes);
Footprint footprint_of(const Cluster& cluster, const std::vector<RankId>& members,
                       const CollectiveShape& shape, std::int64_t n, std::int64_t element_bytes);

}  // namespace rehearse::sim
