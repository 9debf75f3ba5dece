// When a rank reduces its buckets of gradients over their holders, and what waits for that.
//
// Buckets are issued in the common order of the plan (buckets.h), each as soon as it is full and
// those before it are issued: once a step; or, where gradients are sharded, of every micro-batch,
// which have an order each.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "model/schedule/rank_program/gradient_buffers.h"

namespace rehearse {

class Reductions {
 public:
  Reductions(const RankInputs& inputs, const Parts& parts, const GradientBuffers& gradients,
             RankDraft& draft)
      : inputs_(inputs),
        parts_(parts),
        gradients_(gradients),
        draft_(draft),
        is_bounded_(inputs.frame.bounds_reductions) {}

  // Issues every bucket that is full now.
  void after(std::size_t step);
  // Issues what is left when all passes have ended.
  void finish();

  // What a pass waits for that begins buckets whose gradients are sharded: one reduction may be
  // under way while they fill, not more, so that memory is bounded where reductions are slow (as
  // PyTorch's FSDP, which waits for the one before when it issues the next).
  std::vector<OpId> before_new_bucket() const;
  // By class: its last reduction.
  const std::map<std::size_t, OpId>& last() const { return last_; }

 private:
  void issue(std::optional<MicroBatchId> micro_batch, std::size_t step);
  bool is_of_every_micro_batch(const OwnBucket& bucket) const;
  bool stands_in_order(const OwnBucket& bucket, std::optional<MicroBatchId> micro_batch,
                       std::size_t step) const;
  void reduce(std::size_t bucket, std::optional<MicroBatchId> micro_batch);
  std::vector<Use> reduced(std::size_t bucket, std::optional<MicroBatchId> micro_batch);
  CollectiveMethod method(OpKind kind, const OwnBucket& bucket) const;
  std::int64_t divisor_of(const OwnClass& own) const;

  const RankInputs& inputs_;
  const Parts& parts_;
  const GradientBuffers& gradients_;
  RankDraft& draft_;
  // By micro-batch, or once a step: buckets passed by, in order.
  std::map<std::optional<MicroBatchId>, std::size_t> passed_;
  std::set<std::size_t> begun_;  // buckets whose shards have a first micro-batch
  std::map<std::size_t, OpId> last_;
  std::vector<OpId> issued_;
  bool is_bounded_;  // whether passes may wait for reductions
};

}  // namespace rehearse
