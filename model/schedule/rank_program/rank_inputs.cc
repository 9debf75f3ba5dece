#include "model/schedule/rank_program/rank_inputs.h"

#include <algorithm>

namespace rehearse {
namespace {

ParameterClass parameter_class(const RankInputs& inputs, std::size_t slot) {
  const OwnClass& own = inputs.classes[slot];
  ParameterClass held{own.holder_class->parameters,
                      own.holder_class->elements,
                      own.group,
                      static_cast<std::int64_t>(own.members),
                      own.sharding,
                      {},
                      own.readers,
                      own.is_held};
  if (own.sharding == Sharding::none) return held;
  for (const OwnBucket& bucket : inputs.buckets) {
    if (bucket.slot == slot) held.buckets.push_back(bucket.end);
  }
  std::sort(held.buckets.begin(), held.buckets.end());
  return held;
}

RankProgram empty_program(const RankInputs& inputs) {
  const RankFrame& frame = inputs.frame;
  RankProgram program;
  program.name = frame.name;
  program.stages = frame.stages;
  program.subnetwork = frame.subnetwork;
  program.branch_scale_in_training = frame.branch_scale_in_training;
  program.micro_batches = frame.micro_batches;
  program.lanes = {{LaneKind::compute, {}}};
  for (std::size_t slot = 0; slot < inputs.classes.size(); ++slot)
    program.parameter_classes.push_back(parameter_class(inputs, slot));
  return program;
}

// Adds what the rank keeps of one class, each or this rank's shard of it.
void add_class_buffers(const RankInputs& inputs, std::size_t slot, RankDraft& draft) {
  const ParameterClass held = parameter_class(inputs, slot);
  const StateSizes& state = inputs.state;
  ClassBuffers& buffers = draft.persistent;
  const auto add = [&](BufferKind kind, std::int64_t element, Sharding level) {
    const std::int64_t elements = held.sharding >= level ? shard_elements(held) : held.elements;
    return draft.builder.add_buffer({.kind = kind,
                                     .size = Bytes::bytes(elements * element),
                                     .parameter_class = ParameterClassId(slot)});
  };
  buffers.parameters.push_back(add(BufferKind::parameters, state.parameter, Sharding::parameters));
  if (held.is_held)
    buffers.gradients[slot] = add(BufferKind::gradients, state.gradient, Sharding::gradients);
  if (!inputs.classes[slot].keeps_state) return;
  if (state.optimizer > 0)
    buffers.optimizer[slot] =
        add(BufferKind::optimizer_state, state.optimizer, Sharding::optimizer_state);
  if (inputs.frame.outer)
    buffers.outer[slot] =
        add(BufferKind::outer_state, outer_state_bytes(inputs.training, inputs.frame.outer),
            Sharding::optimizer_state);
}

}  // namespace

RankInputs rank_inputs(const Net& net, const RankFrame& frame, const Training& training,
                       const std::vector<OwnClass>& classes, const std::vector<Bucket>& buckets,
                       const std::vector<std::optional<std::size_t>>& class_slots) {
  RankInputs inputs{net,
                    frame,
                    training,
                    classes,
                    {},
                    element_sizes(training),
                    state_sizes(training),
                    accumulates_exactly(training, frame.micro_batches)};
  std::vector<SegmentId> first_uses;
  for (const Bucket& bucket : buckets) {
    first_uses.push_back(bucket.first_use);
    const auto slot = class_slots[bucket.holder_class];
    // Where micro-batches are kept apart, what this rank holds alone is added up bucket by bucket.
    if (!slot || (!classes[*slot].group && !inputs.sums_exactly)) continue;
    inputs.buckets.push_back({*slot, bucket.begin, bucket.end, bucket.parameters, first_uses});
    first_uses.clear();
  }
  return inputs;
}

RankDraft rank_draft(const RankInputs& inputs) {
  RankDraft draft{ProgramBuilder(empty_program(inputs))};
  for (std::size_t slot = 0; slot < inputs.classes.size(); ++slot)
    add_class_buffers(inputs, slot, draft);
  return draft;
}

BufferId add_range_buffer(ProgramBuilder& builder, BufferKind kind, const OwnBucket& bucket,
                          std::int64_t element_bytes) {
  return builder.add_buffer({.kind = kind,
                             .size = Bytes::bytes((bucket.end - bucket.begin) * element_bytes),
                             .parameter_class = ParameterClassId(bucket.slot),
                             .begin = bucket.begin,
                             .end = bucket.end});
}

}  // namespace rehearse
