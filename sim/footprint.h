// What a collective as a whole asks of the machine: bytes over links, latencies one after the
// other, work of its members.
#pragma once

#include <cstdint>
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
  // Steps in which anything is sent, of the channel with most of them; and the sum over these of
  // the largest latency of a step's messages, of links alone.
  std::int64_t steps = 0;
  Seconds latency;
};

// Of n elements. members: ranks, in the order in which the group numbers them. In-network
// reduction: switches add what comes together on the routes to the first member, and what leaves
// them on the routes from it is one message on every link: n elements over each of these links.
// O(members x steps), once more for each link of a route that was not met yet.
Footprint footprint_of(const Cluster& cluster, const std::vector<RankId>& members,
                       const CollectiveShape& shape, std::int64_t n, std::int64_t element_bytes);

}  // namespace rehearse::sim
