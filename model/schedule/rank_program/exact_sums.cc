#include "model/schedule/rank_program/exact_sums.h"

namespace rehearse {

void ExactSums::add_up_after(std::size_t step) {
  const MicroBatchId m = parts_.steps()[step].micro_batch;
  for (std::size_t b = 0; b < inputs_.buckets.size(); ++b) {
    if (parts_.last_of(b, m) == step) add_up(b, m.index());
  }
}

void ExactSums::add_up(std::size_t bucket, std::size_t leaf) {
  const auto all = static_cast<std::size_t>(inputs_.frame.micro_batches);
  std::set<std::size_t>& waiting = waiting_[bucket];
  std::size_t first = leaf;
  for (std::size_t half = 1; half < all; half *= 2) {
    const bool is_right = first % (2 * half) != 0;
    const std::size_t left = is_right ? first - half : first, right = left + half;
    if (right >= all) continue;  // no sibling: the node is its parent, too
    if (waiting.erase(is_right ? left : right) == 0) {
      waiting.insert(first);
      return;
    }
    first = left;
    accumulate(bucket, left, right, 2 * half >= all);
  }
}

void ExactSums::accumulate(std::size_t number, std::size_t left, std::size_t right, bool is_last) {
  const OwnBucket& bucket = inputs_.buckets[number];
  const bool divides = is_last && !inputs_.class_of(bucket).group;
  draft_.last_pass =
      draft_.builder.add(OpKind::accumulate, {LaneKind::compute, {}},
                         {{gradients_.sum_of(number, MicroBatchId(left)), Access::update},
                          {gradients_.sum_of(number, MicroBatchId(right)), Access::read}},
                         Accumulate{ParameterClassId(bucket.slot), bucket.begin, bucket.end,
                                    divides ? inputs_.frame.micro_batches : 1});
}

}  // namespace rehearse
