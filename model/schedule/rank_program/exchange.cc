#include "model/schedule/rank_program/exchange.h"

namespace rehearse {

CollectiveMethod method_over(const RankInputs& inputs, CollectiveKind kind, const OwnBucket& bucket,
                             std::int64_t element_bytes) {
  return choose_collective(inputs.frame.collectives, *inputs.frame.collective_costs, kind,
                           inputs.class_of(bucket).layout, bucket.end - bucket.begin,
                           element_bytes);
}

Collective collective_over(const RankInputs& inputs, const OwnBucket& bucket,
                           std::int64_t element_bytes, std::int64_t divisor,
                           const CollectiveMethod& method) {
  return {.group = *inputs.class_of(bucket).group,
          .parameter_class = ParameterClassId(bucket.slot),
          .begin = bucket.begin,
          .end = bucket.end,
          .element_bytes = element_bytes,
          .divisor = divisor,
          .algorithm = method.algorithm,
          .node_members = method.node_members,
          .pieces = method.pieces};
}

void add_room(ProgramBuilder& builder, const CollectiveShape& shape, std::int64_t elements,
              std::int64_t element_bytes, std::vector<Use>& uses) {
  const Bytes room = Bytes::bytes(element_bytes * room_for(shape, elements));
  if (room == Bytes{}) return;
  uses.push_back(
      {builder.add_buffer({.kind = BufferKind::communication, .size = room}), Access::write});
}

}  // namespace rehearse
