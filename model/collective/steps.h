// Collective algorithms as lists of steps over point-to-point messages, one list per member.
//
// The executor sends what the list says and the simulator plays the same list, so that bytes and
// order agree by construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace rehearse {

enum class CollectiveKind { all_reduce, reduce_scatter, all_gather, broadcast };
enum class CollectiveAlgorithm { ring, pairwise, doubling };
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

// In one step a member sends one range and receives another, at the same time; either may be empty.
// The next step begins when both are done.
struct CollectiveStep {
  std::size_t to = 0, from = 0;  // members of the group
  ElementRange send, receive;
  // Whether what arrives is added to what is there (a ring's at once, pairwise when all of it is
  // there), or replaces it.
  bool reduce = false;
};

struct CollectiveShape {
  CollectiveKind kind = CollectiveKind::all_reduce;
  CollectiveAlgorithm algorithm = CollectiveAlgorithm::ring;
  std::size_t members = 1;
  std::size_t sources = 0;  // of a broadcast: the first members, which have all of it
};

// Member's list for n elements over c members; chunk k is [k n / c, (k+1) n / c).
//
// Ring (Patarasuk and Yuan, JPDC 2009): c - 1 steps for a reduce-scatter, after which member k has
// the sum of chunk k; c - 1 for an all-gather, which begins with chunk k on member k; 2 (c - 1) for
// an all-reduce, which is one after the other.
//
// Pairwise exchange (Thakur, Rabenseifner, Gropp, IJHPCA 19(1), 2005, section 4.3): in step s of a
// reduce-scatter a member sends to the one s + 1 above it that one's chunk, and receives its own
// from the one as far below; of an all-gather it sends its own and receives the other's. Messages
// and bytes are a ring's, but the terms of a chunk come together in one place, where they can be
// added in any order: ours is fold_tree() over the members.
//
// A broadcast from several members to the r others is by ring only, and is a scatter and an
// all-gather (section 4.4 there, where one member sends): the sources send each of the others one
// of r chunks, in turn, and these send what they have around a ring of their own. r n elements in
// all; a source sends n / sources.
//
// Recursive doubling (section 4.5 there), of all-reduces only: in step s members whose numbers
// differ in bit s exchange all they have, and have the same sum, to the bit, afterwards. Of the
// members beyond the last power of two each adds to one of the others first, and gets the sum from
// it in the end. Few and short messages: log2(c) steps of n elements.
std::vector<CollectiveStep> steps_of(const CollectiveShape& shape, std::size_t member,
                                     std::int64_t n);

// The list piece by piece, for whoever plays many members at once: all lists of a group are as long
// as the square of its size. Both O(1).
std::size_t step_count(const CollectiveShape& shape);
CollectiveStep step_of(const CollectiveShape& shape, std::size_t member, std::int64_t n,
                       std::size_t number);

// Elements one member sends.
std::int64_t elements_sent(const std::vector<CollectiveStep>& steps);
// Elements that a member needs room for, to receive what it adds to its own: of a ring the longest
// chunk, of a pairwise exchange one for every other member, doubling everything. The same for all
// members, as those of one program have buffers of one size. O(1).
std::int64_t room_for(const CollectiveShape& shape, std::int64_t n);

}  // namespace rehearse
