// Where passes add their gradients of parameters: into the flat buffers of the classes, or, where
// these are sharded or micro-batches kept apart, into buffers of a bucket and a micro-batch.
#pragma once

#include <map>
#include <vector>

#include "model/schedule/rank_program/parts.h"
#include "model/schedule/rank_program/rank_inputs.h"

namespace rehearse {

class GradientBuffers {
 public:
  GradientBuffers(const RankInputs& inputs, Parts& parts, RankDraft& draft)
      : inputs_(inputs), parts_(parts), draft_(draft) {}

  // Clears the gradients of what the rank holds and does not run in this step.
  void clear_absent();

  // What a step adds to. begins: whether it is the first to add to some bucket that is unreduced.
  struct Added {
    std::vector<Use> uses;
    bool begins = false;
  };
  Added added_by(const Step& step);

  // The sum over the micro-batches from this one on, as far as they have been added up.
  BufferId sum_of(std::size_t bucket, MicroBatchId first) const;
  BufferId unreduced(std::size_t bucket, MicroBatchId micro_batch) const {
    return unreduced_.at({bucket, micro_batch});
  }

 private:
  bool adds_to_flat(std::size_t slot, MicroBatchId micro_batch) const;
  void clear(std::size_t slot, std::int64_t begin, std::int64_t end);

  const RankInputs& inputs_;
  Parts& parts_;
  RankDraft& draft_;
  std::map<std::pair<std::size_t, MicroBatchId>, BufferId> unreduced_;  // by bucket
};

}  // namespace rehearse
