// Collective algorithms as lists of steps over point-to-point messages, one list per member.
//
// The executor sends what the list says and the simulator plays the same list, so that bytes and
// order agree by construction.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rehearse {

enum class CollectiveKind { all_reduce, reduce_scatter, all_gather, broadcast };
std::string_view to_string(CollectiveKind kind);

enum class CollectiveAlgorithm {
  ring,
  pairwise,
  doubling,
  bidirectional_ring,
  halving_doubling,
  double_tree,
  hierarchical,
  in_network
};
inline constexpr CollectiveAlgorithm kLastCollectiveAlgorithm = CollectiveAlgorithm::in_network;
std::string_view to_string(CollectiveAlgorithm algorithm);

// The fixed binary tree over n leaves, bottom up: combine(left, right) for every inner node, where
// a node is known by its first leaf and its sum replaces the left child's. Leaves [k 2^l, (k+1)
// 2^l) are one node whatever n is; where n ends before the right child begins, the left one stands
// for both. Sums over consecutive runs of 2^l leaves are thus nodes of the tree over all.
template <class Combine>
void fold_tree(std::size_t n, const Combine& combine) {
  for (std::size_t half = 1; half < n; half *= 2) {
    for (std::size_t left = 0; left + half < n; left += 2 * half)
      combine(left, left + half);
  }
}

// Elements [begin, end), relative to the collective's range.
struct ElementRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
  friend bool operator==(const ElementRange&, const ElementRange&) = default;
};

// In one step a member sends one range and receives another, at the same time; either may be empty,
// and then there is no message and nobody waits for one. The next step of the channel begins when
// both are done.
struct CollectiveStep {
  std::size_t to = 0, from = 0;  // members of the group; of an empty range: meaningless
  ElementRange send, receive;
  // Whether what arrives is added to what is there (pairwise when all of it is there, otherwise at
  // once), or replaces it.
  bool reduce = false;
  // Whether what is received is the sum of all members' once it is added.
  bool completes = false;
};

struct CollectiveShape {
  CollectiveKind kind = CollectiveKind::all_reduce;
  CollectiveAlgorithm algorithm = CollectiveAlgorithm::ring;
  std::size_t members = 1;
  std::size_t sources = 0;  // of a broadcast: the first members, which have all of it
  // Hierarchical: how many consecutive members are neighbours, on one node. It divides the members.
  std::size_t node_members = 1;
  std::size_t pieces = 1;  // of a double tree: into how many each half is cut, one after the other
  friend auto operator<=>(const CollectiveShape&, const CollectiveShape&) = default;
};

// Member's list for n elements over c members; chunk k is [k n / c, (k+1) n / c).
//
// ring (Patarasuk and Yuan, JPDC 2009): c - 1 steps for a reduce-scatter, after which member k has
// the sum of chunk k; c - 1 for an all-gather, which begins with chunk k on member k; 2 (c - 1) for
// an all-reduce, which is one after the other. A broadcast from several members to the r others is
// by ring only, and is a scatter and an all-gather (Thakur, Rabenseifner, Gropp, IJHPCA 19(1),
// 2005, section 4.4, where one member sends): the sources send each of the others one of r chunks,
// in turn, and these send what they have around a ring of their own. r n elements in all; a source
// sends n / sources.
//
// bidirectional-ring: two rings in opposite directions, on two channels at the same time, each with
// half of every chunk.
//
// pairwise exchange (Thakur et al., section 4.3): in step s of a reduce-scatter a member sends to
// the one s + 1 above it that one's chunk, and receives its own from the one as far below; of an
// all-gather it sends its own and receives the other's. Messages and bytes are a ring's, but the
// terms of a chunk come together in one place, where they can be added in any order: ours is
// fold_tree() over the members.
//
// doubling (section 4.5 there), of all-reduces only: in step s members whose numbers differ in bit
// s exchange all they have, and have the same sum, to the bit, afterwards. Of the members beyond
// the last power of two each adds to one of the others first, and gets the sum from it in the end.
// Few and short messages: log2(c) steps of n elements.
//
// halving-doubling (Rabenseifner, ICCS 2004; sections 4.2 and 4.5 there): a reduce-scatter in which
// members at distances c/2, c/4, ... exchange halves of what they still share, and an all-gather
// back. A ring's bytes in 2 log2(c) steps. Members beyond the last power of two as in doubling, of
// all-reduces only.
//
// double-tree (Sanders, Speck, Traeff, Parallel Computing 35, 2009; of all-reduces, as NCCL has it
// since 2.4), of all-reduces only: each half of the range, in pieces, goes up a binary tree of its
// own and then down again. Who has children in one tree is a leaf of the other, and the edges have
// two colours, those of even and of odd steps, such that nobody sends or receives twice in a step.
// A ring's bytes with log2(c) latencies, where there are enough pieces.
//
// hierarchical (e.g. Jia et al., arXiv 1807.11205, section 3.4), of all-reduces only: a ring's
// reduce-scatter among the members of a node, an all-reduce of a chunk by ring among those that
// have it, one per node, and an all-gather in the node.
//
// in-network (Graham et al., SHARP, COMHPC 2016), of all-reduces only: every member sends all it
// has to a switch that adds, and receives the sum. It has no list: no member's messages to others.
std::vector<CollectiveStep> steps_of(const CollectiveShape& shape, std::size_t member,
                                     std::int64_t n, std::size_t channel = 0);

// Why an algorithm cannot do it; none: it can.
std::optional<std::string> refusal_of(const CollectiveShape& shape);

inline constexpr std::size_t kMostChannels = 2;
// How many lists each member works through at the same time: as many messages are under way.
std::size_t channel_count(const CollectiveShape& shape);
// Steps of each of them, for all members. O(1).
std::size_t step_count(const CollectiveShape& shape);

// What an algorithm makes steps from (algorithm.h).
class StepSource;

// The lists piece by piece, for whoever plays many members at once: all lists of a group are as
// long as the square of its size. Of a double tree O(members) to make, otherwise O(1); each step is
// O(1).
class StepLists {
 public:
  explicit StepLists(const CollectiveShape& shape);
  std::size_t channels() const { return channels_; }
  std::size_t count() const { return count_; }
  CollectiveStep step(std::size_t member, std::int64_t n, std::size_t number,
                      std::size_t channel = 0) const;

 private:
  std::size_t members_ = 1, channels_ = 1, count_ = 0;
  std::shared_ptr<const StepSource> source_;
};

// Elements that one member sends and receives, on all channels.
struct ElementTraffic {
  std::int64_t sent = 0, received = 0;
};
ElementTraffic traffic_of(const CollectiveShape& shape, std::size_t member, std::int64_t n);
std::int64_t elements_sent(const CollectiveShape& shape, std::size_t member, std::int64_t n);
// Elements that a member needs room for, to receive what it adds to its own, for each of its
// channels as much: of a ring the longest chunk, of a pairwise exchange one for every other member,
// of doubling everything. The same for all members, as those of one program have buffers of one
// size. O(1).
std::int64_t room_for(const CollectiveShape& shape, std::int64_t n);

// What people choose from, sorted by name.
struct CollectiveAlgorithmRow {
  CollectiveAlgorithm algorithm;
  std::string_view name, help;
};
std::vector<CollectiveAlgorithmRow> collective_algorithms();

}  // namespace rehearse
