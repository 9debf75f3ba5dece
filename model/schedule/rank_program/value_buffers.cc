#include "model/schedule/rank_program/value_buffers.h"

#include <algorithm>

#include "model/net/tensor.h"

namespace rehearse {

Bytes ValueBuffers::size_of(ValueId value) const {
  return rehearse::size_of(inputs_.net, value, inputs_.frame.samples, inputs_.sizes);
}

ValueBuffers::Copy ValueBuffers::copy_on(StageId stage, ValueId value,
                                         MicroBatchId micro_batch) const {
  return {value, micro_batch, home(value, stage)};
}

// The stage of this rank whose copy of a value another stage here works on: where it was made or
// received. A value that goes once around the ranks comes back as another copy.
StageId ValueBuffers::home(ValueId value, StageId stage) const {
  const Net& net = inputs_.net;
  const auto producer = net.values[value.index()].producer;
  if (!producer) return stage;
  StageId at = stage;
  while (net.layers[producer->index()].segment < inputs_.frame.starts[at.index()] &&
         is_here(StageId(at.index() - 1))) {
    at = StageId(at.index() - 1);
  }
  return at;
}

bool ValueBuffers::is_here(StageId stage) const {
  return std::any_of(inputs_.frame.stages.begin(), inputs_.frame.stages.end(),
                     [&](const Stage& own) { return own.number == stage; });
}

BufferId ValueBuffers::value(ValueId value, MicroBatchId micro_batch, StageId stage) {
  return draft_.builder.boundary(BufferKind::value, copy_on(stage, value, micro_batch),
                                 size_of(value));
}

BufferId ValueBuffers::gradient(ValueId value, MicroBatchId micro_batch, StageId stage) {
  return draft_.builder.boundary(BufferKind::gradient, copy_on(stage, value, micro_batch),
                                 size_of(value));
}

// The end of a block may have nothing to be run again for; then its output is kept, as the next
// block's input is.
bool ValueBuffers::is_made_again_for(const Step& step, ValueId value) const {
  if (step.kind == OpKind::forward) return false;
  const Net& net = inputs_.net;
  if (is_gathered(net, value)) return true;
  const auto producer = net.values[value.index()].producer;
  if (!producer || !parts_.is_recomputed(step)) return false;
  const SegmentId made = net.layers[producer->index()].segment;
  return net.segments[made.index()].block == parts_.part_of(step).block &&
         parts_.is_run_again(made);
}

BufferId ValueBuffers::value_for(const Step& step, ValueId value) {
  const StageId stage = parts_.stage_of(step);
  if (!is_made_again_for(step, value)) return this->value(value, step.micro_batch, stage);
  const auto [entry, is_new] = again_.try_emplace(copy_on(stage, value, step.micro_batch));
  if (is_new) {
    entry->second = draft_.builder.add_buffer(
        {.kind = BufferKind::value, .size = size_of(value), .value = value});
  }
  return entry->second;
}

}  // namespace rehearse
