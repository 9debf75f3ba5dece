// What all pieces of a rank's program are made from, and the program as far as it is made.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "model/schedule/rank_program.h"
#include "model/schedule/rank_program/program_builder.h"

namespace rehearse {

// A bucket of this rank.
struct OwnBucket {
  std::size_t slot;  // of its class
  std::int64_t begin, end;
  std::vector<ParameterId> parameters;
  // First uses of it, and of the buckets of others between the own one before it and it.
  std::vector<SegmentId> first_uses = {};
};

// action_program()'s arguments, with what follows from them.
struct RankInputs {
  const Net& net;
  const RankFrame& frame;
  const Training& training;
  const std::vector<OwnClass>& classes;
  std::vector<OwnBucket> buckets;  // in the common order of the plan
  ElementSizes sizes;
  StateSizes state;
  bool sums_exactly;  // gradients of micro-batches are kept apart

  const OwnClass& class_of(const OwnBucket& bucket) const { return classes[bucket.slot]; }
};
RankInputs rank_inputs(const Net& net, const RankFrame& frame, const Training& training,
                       const std::vector<OwnClass>& classes, const std::vector<Bucket>& buckets,
                       const std::vector<std::optional<std::size_t>>& class_slots);

// A program's persistent buffers.
struct ClassBuffers {
  std::vector<BufferId> parameters;                             // by class
  std::map<std::size_t, BufferId> gradients, optimizer, outer;  // by class that is held
};

struct RankDraft {
  ProgramBuilder builder;
  ClassBuffers persistent = {};
  // The last op that computes with the network or on its gradients: what is overwritten or sent
  // next is no longer needed by then.
  std::optional<OpId> last_pass = std::nullopt;

  std::vector<OpId> after_last_pass() const {
    return last_pass ? std::vector<OpId>{*last_pass} : std::vector<OpId>{};
  }
};
// With the classes' buffers, and no ops.
RankDraft rank_draft(const RankInputs& inputs);

// A transient buffer for a bucket's elements.
BufferId add_range_buffer(ProgramBuilder& builder, BufferKind kind, const OwnBucket& bucket,
                          std::int64_t element_bytes);

}  // namespace rehearse
