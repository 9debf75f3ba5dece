#include "model/schedule/rank_program/gradient_buffers.h"

#include <set>

namespace rehearse {

bool GradientBuffers::adds_to_flat(std::size_t slot, MicroBatchId micro_batch) const {
  return inputs_.classes[slot].sharding < Sharding::gradients &&
         (micro_batch == MicroBatchId(0) || !inputs_.sums_exactly);
}

GradientBuffers::Added GradientBuffers::added_by(const Step& step) {
  Added added;
  const Parts::Touched& touched = parts_.adds_to(step);
  for (const std::size_t slot : touched.classes) {
    if (adds_to_flat(slot, step.micro_batch))
      added.uses.push_back({draft_.persistent.gradients.at(slot), Access::update});
  }
  for (const std::size_t bucket : touched.buckets) {
    if (adds_to_flat(inputs_.buckets[bucket].slot, step.micro_batch)) continue;
    const auto [entry, is_new] = unreduced_.try_emplace({bucket, step.micro_batch});
    if (is_new)
      entry->second = add_range_buffer(draft_.builder, BufferKind::unreduced,
                                       inputs_.buckets[bucket], inputs_.state.gradient);
    added.begins |= is_new;
    added.uses.push_back({entry->second, is_new ? Access::write : Access::update});
  }
  return added;
}

BufferId GradientBuffers::sum_of(std::size_t bucket, MicroBatchId first) const {
  const std::size_t slot = inputs_.buckets[bucket].slot;
  return adds_to_flat(slot, first) ? draft_.persistent.gradients.at(slot)
                                   : unreduced(bucket, first);
}

void GradientBuffers::clear_absent() {
  std::set<ParameterId> used;
  for (const Stage& stage : inputs_.frame.stages) {
    const auto parameters = parameters_of(inputs_.net, stage.begin, stage.end);
    used.insert(parameters.begin(), parameters.end());
  }
  for (const auto& [slot, gradients] : draft_.persistent.gradients) {
    std::int64_t begin = 0, end = 0;  // of neighbours that do not run
    for (const ParameterId id : inputs_.classes[slot].holder_class->parameters) {
      const std::int64_t elements = inputs_.net.parameters[id.index()].shape.elements();
      if (used.count(id) > 0) clear(slot, begin, end), begin = end + elements;
      end += elements;
    }
    clear(slot, begin, end);
  }
}

void GradientBuffers::clear(std::size_t slot, std::int64_t begin, std::int64_t end) {
  if (begin >= end) return;
  draft_.last_pass = draft_.builder.add(OpKind::clear, {LaneKind::compute, {}},
                                        {{draft_.persistent.gradients.at(slot), Access::update}},
                                        Clear{ParameterClassId(slot), begin, end});
}

}  // namespace rehearse
