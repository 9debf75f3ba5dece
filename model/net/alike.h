// Blocks that are alike, such as the layers of a transformer: what is known of one holds of all.
#pragma once

#include <cstddef>
#include <vector>

#include "model/net/net.h"

namespace rehearse {

// By block the first one that is like it: the same layers by their facts, on values of the same
// shapes, joined in the same way with each other and with the blocks before. A block that shares a
// parameter with another one is like none. O(layers)
std::vector<std::size_t> alike_blocks(const Net& net);

// Blocks [begin, end), all alike.
struct BlockRun {
  std::size_t begin = 0, end = 0;
  std::size_t size() const { return end - begin; }
};
// The longest run of blocks that are alike, of several the first.
BlockRun longest_run(const std::vector<std::size_t>& alike);

// The network without blocks [begin, end), which must be alike and each read one value of the block
// before it: who read the last one's output reads what the first one read. Segments and blocks are
// numbered anew; layers, values and parameters keep their numbers.
Net without_blocks(const Net& net, std::size_t begin, std::size_t end);

}  // namespace rehearse
