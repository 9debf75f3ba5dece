// A rank's gradients added up over its micro-batches in one order, whoever has them
// (Reduction::exact): pairwise, along the fixed binary tree over the micro-batches' numbers.
#pragma once

#include <map>
#include <set>

#include "model/schedule/rank_program/gradient_buffers.h"

namespace rehearse {

class ExactSums {
 public:
  ExactSums(const RankInputs& inputs, const Parts& parts, const GradientBuffers& gradients,
            RankDraft& draft)
      : inputs_(inputs), parts_(parts), gradients_(gradients), draft_(draft) {}

  // Of every bucket whose gradients of a micro-batch are complete now: as far up the tree as both
  // children of a node are there.
  void add_up_after(std::size_t step);

 private:
  void add_up(std::size_t bucket, std::size_t leaf);
  void accumulate(std::size_t bucket, std::size_t left, std::size_t right, bool is_last);

  const RankInputs& inputs_;
  const Parts& parts_;
  const GradientBuffers& gradients_;
  RankDraft& draft_;
  // By bucket: sums without their siblings in the tree, by their first micro-batch.
  std::map<std::size_t, std::set<std::size_t>> waiting_;
};

}  // namespace rehearse
