#include "model/collective/first_range.h"

#include "model/base/check.h"
#include "model/collective/algorithm.h"

namespace rehearse {

std::int64_t first_range(const CollectiveShape& shape, std::int64_t n) {
  if (shape.members < 2) return 0;
  switch (shape.algorithm) {
    case CollectiveAlgorithm::in_network:
      return 0;
    case CollectiveAlgorithm::doubling:
      return n;
    case CollectiveAlgorithm::halving_doubling:
      if (extra_members(shape.members) > 0) return n;
      return longest_chunk(shape.kind == CollectiveKind::all_gather ? shape.members : 2, n);
    case CollectiveAlgorithm::double_tree:
      return longest_chunk(shape.pieces, longest_chunk(2, n));
    case CollectiveAlgorithm::hierarchical:
      return longest_chunk(shape.node_members > 1 ? shape.node_members : shape.members, n);
    case CollectiveAlgorithm::bidirectional_ring:
    case CollectiveAlgorithm::pairwise:
    case CollectiveAlgorithm::ring:
      return longest_chunk(shape.members - shape.sources, n);
  }
  REHEARSE_UNREACHABLE("collective algorithm");
}

}  // namespace rehearse
