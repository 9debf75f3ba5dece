#include "model/schedule/rank_program/reductions.h"

#include <algorithm>

#include "model/schedule/rank_program/exchange.h"

namespace rehearse {

void Reductions::after(std::size_t step) {
  if (!inputs_.frame.overlap || inputs_.frame.is_local) return;
  issue(std::nullopt, step);
  issue(parts_.steps()[step].micro_batch, step);
}

void Reductions::finish() {
  if (inputs_.frame.overlap || inputs_.frame.is_local) return;
  issue(std::nullopt, parts_.steps().size());
  for (std::int64_t m = 0; m < inputs_.frame.micro_batches; ++m)
    issue(MicroBatchId(m), parts_.steps().size());
}

std::vector<OpId> Reductions::before_new_bucket() const {
  if (!is_bounded_ || issued_.size() < 2) return {};
  return {issued_[issued_.size() - 2]};
}

bool Reductions::is_of_every_micro_batch(const OwnBucket& bucket) const {
  return inputs_.class_of(bucket).sharding >= Sharding::gradients && !inputs_.sums_exactly;
}

void Reductions::issue(std::optional<MicroBatchId> micro_batch, std::size_t step) {
  std::size_t& next = passed_[micro_batch];
  for (; next < inputs_.buckets.size(); ++next) {
    const OwnBucket& bucket = inputs_.buckets[next];
    if (!inputs_.class_of(bucket).group) continue;
    if (is_of_every_micro_batch(bucket) != micro_batch.has_value()) continue;
    const auto last = parts_.last_of(next, micro_batch);
    // Where nothing of a bucket runs, its zeros are there from the beginning.
    if (last ? *last > step : !inputs_.frame.clears) return;
    if (!stands_in_order(bucket, micro_batch, step)) return;
    reduce(next, micro_batch);
  }
}

// Among gathers, a reduction has its place where the last block has been visited that it, or
// another worker's before it, is of: on all workers alike.
bool Reductions::stands_in_order(const OwnBucket& bucket, std::optional<MicroBatchId> micro_batch,
                                 std::size_t step) const {
  if (inputs_.class_of(bucket).sharding != Sharding::parameters) return true;
  if (step == parts_.steps().size()) return true;
  return parts_.ends_visit(step) &&
         std::all_of(bucket.first_uses.begin(), bucket.first_uses.end(), [&](SegmentId use) {
           const auto visit = parts_.last_visit(use, micro_batch);
           return !visit || *visit <= parts_.visit_of(step);
         });
}

void Reductions::reduce(std::size_t number, std::optional<MicroBatchId> micro_batch) {
  const OwnBucket& bucket = inputs_.buckets[number];
  const OwnClass& own = inputs_.class_of(bucket);
  const OpKind kind = own.sharding == Sharding::none ? OpKind::all_reduce : OpKind::reduce_scatter;
  std::vector<Use> uses = reduced(number, micro_batch);
  const CollectiveMethod method = this->method(kind, bucket);
  const std::int64_t bytes = inputs_.state.gradient;
  add_room(draft_.builder, shape_of(method, collective_kind(kind), own.members),
           bucket.end - bucket.begin, bytes, uses);
  const OpId op = draft_.builder.add(
      kind, {LaneKind::collective, {}}, uses,
      collective_over(inputs_, bucket, bytes, divisor_of(own), method), draft_.after_last_pass());
  last_[bucket.slot] = op;
  issued_.push_back(op);
  // A reduction with other stages of the pipeline ends when these get to it, and so do all behind
  // it: passes that waited for them might be what those stages wait for.
  if (own.sharding < Sharding::gradients) is_bounded_ = false;
}

// The gradients, in place; or an unreduced buffer and the shard that its first micro-batch writes
// and the others add to.
std::vector<Use> Reductions::reduced(std::size_t number, std::optional<MicroBatchId> micro_batch) {
  const OwnBucket& bucket = inputs_.buckets[number];
  const BufferId gradients = draft_.persistent.gradients.at(bucket.slot);
  if (inputs_.class_of(bucket).sharding < Sharding::gradients) return {{gradients, Access::update}};
  const bool is_first = begun_.insert(number).second;
  return {{gradients_.unreduced(number, micro_batch.value_or(MicroBatchId(0))), Access::update},
          {gradients, is_first ? Access::write : Access::update}};
}

CollectiveMethod Reductions::method(OpKind kind, const OwnBucket& bucket) const {
  if (inputs_.training.reduction == Reduction::exact) return {CollectiveAlgorithm::pairwise};
  return method_over(inputs_, collective_kind(kind), bucket, inputs_.state.gradient);
}

// Means over replicas, or over micro-batches.
std::int64_t Reductions::divisor_of(const OwnClass& own) const {
  const bool exact = inputs_.training.reduction == Reduction::exact;
  return own.divisor * (exact ? inputs_.frame.micro_batches : 1);
}

}  // namespace rehearse
