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

enum class CollectiveKind { all_reduce, reduce_scatter, all_gather };
enum class CollectiveAlgorithm { ring };
std::string_view to_string(CollectiveAlgorithm algorithm);

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
  bool reduce = false;  // whether what arrives is added to what is there, or replaces it
};

// Member's list for n elements over c members; chunk k is [k n / c, (k+1) n / c).
//
// Ring (Patarasuk and Yuan, JPDC 2009): c - 1 steps for a reduce-scatter, after which member k has
// the sum of chunk k; c - 1 for an all-gather, which begins with chunk k on member k; 2 (c - 1) for
// an all-reduce, which is one after the other.
std::vector<CollectiveStep> steps_of(CollectiveKind kind, CollectiveAlgorithm algorithm,
                                     std::size_t member, std::size_t members, std::int64_t n);

// The list piece by piece, for whoever plays many members at once: all lists of a group are as long
// as the square of its size. Both O(1).
std::size_t step_count(CollectiveKind kind, CollectiveAlgorithm algorithm, std::size_t members);
CollectiveStep step_of(CollectiveKind kind, CollectiveAlgorithm algorithm, std::size_t member,
                       std::size_t members, std::int64_t n, std::size_t number);

// Elements one member sends; and the longest range it receives to add to its own.
std::int64_t elements_sent(const std::vector<CollectiveStep>& steps);
std::int64_t longest_receive(const std::vector<CollectiveStep>& steps);
// The longest that any member receives so, which is the room all of them have: members of one
// program have buffers of one size. O(1).
std::int64_t longest_receive(CollectiveKind kind, CollectiveAlgorithm algorithm,
                             std::size_t members, std::int64_t n);

}  // namespace rehearse
