// What is simulated twice: messages on a star or a fat tree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rehearse::bench {

// Full-duplex links of 12.5e9 B/s without latency. Under fat-tree leaves: `uplinks` of them to as
// many spines, the destination's number picks one.
struct Platform {
  std::size_t hosts = 2;
  struct FatTree {
    std::size_t hosts_per_leaf, uplinks;
  };
  std::optional<FatTree> fat_tree;  // none: a star
};
inline constexpr double kBandwidth = 12.5e9;  // B/s

struct Message {
  std::size_t from, to;
  std::int64_t bytes;
};

// Either so many messages at once, between hosts and of sizes (1 to 100 MB) drawn at random, or a
// ring all-reduce of 1 GB over all hosts, in their order or permuted.
//
// Members of a permuted ring that meet on the trunks of a tree push one another about for hundreds
// of steps: a difference of a rounding error ends as one of 1e-4 of single members' finish times
// (between SimGrid's two modes, network/optim Lazy and Full, too). The busiest link decides when
// the last one ends, whatever happens on the way.
struct Case {
  std::string name;
  Platform platform;
  std::vector<Message> messages;
  std::vector<std::size_t> ring;  // hosts
  bool is_chaotic = false;        // only the last finish time can be compared
};

// Each platform with few and many messages, small and large rings.
std::vector<Case> cases();

// Of one part of a ring's data.
std::int64_t chunk_bytes(const Case& of);

// Seconds at which messages, or the members of the ring, finish.
using Finishes = std::vector<double>;

// By SimGrid, once in the life of a process; and by rehearse::sim.
Finishes simgrid_finishes(const Case& of);
Finishes rehearse_finishes(const Case& of);

}  // namespace rehearse::bench
