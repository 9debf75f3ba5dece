// All-to-alls as lists of steps: every member has a block for every other one.
//
// No plan has such an op yet: the lists are for whoever adds it. Blocks are kept by distance. In
// the beginning slot j of member m has the block for member m + j (of c, around); in the end slot j
// has the one from member m - j. Slot 0 is a member's own and stays.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace rehearse {

// direct: each block goes straight to its receiver, in c - 1 steps (the pairwise exchange of
// Thakur, Rabenseifner, Gropp, IJHPCA 19(1), 2005, section 4.3, for blocks of their own). Fewest
// bytes.
// bruck (Bruck et al., IEEE TPDS 8(11), 1997, section 3.2, radix 2): in step s every block whose
// distance has bit s goes 2^s members further, all of them in one message: ceil(log2 c) steps.
enum class AllToAllAlgorithm { bruck, direct };
struct AllToAllRow {
  AllToAllAlgorithm algorithm;
  std::string_view name, help;
};
// Sorted by name.
const std::vector<AllToAllRow>& all_to_all_algorithms();

// A member sends the blocks in these slots, in this order, and receives into the same ones as many
// from another, at the same time.
struct AllToAllStep {
  std::size_t to = 0, from = 0;
  std::vector<std::size_t> slots;
};

std::size_t step_count(AllToAllAlgorithm algorithm, std::size_t members);
AllToAllStep all_to_all_step(AllToAllAlgorithm algorithm, std::size_t member, std::size_t members,
                             std::size_t number);
// Blocks that a member sends in a step; of Bruck at most half of all. O(1).
std::size_t blocks_sent(AllToAllAlgorithm algorithm, std::size_t members, std::size_t number);

}  // namespace rehearse
