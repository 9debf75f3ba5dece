#include "tests/plan/symbolic/collective_operands.h"

#include <algorithm>

#include "tests/plan/symbolic/shards.h"

namespace rehearse::testing::symbolic {
namespace {

const Group& group_of(const RunningOp& running) {
  return rehearse::group_of(running.plan(), running.rank().id, running.op());
}

// For what this member receives to add to its own.
void touch_room(RunningOp& running) {
  const Collective& detail = collective_of(running.op());
  const std::int64_t room =
      detail.element_bytes *
      room_for(shape_of(running.op(), group_of(running).members.size()), detail.end - detail.begin);
  if (room == 0) return;
  running.touch_all(running.find_slab(Access::write, BufferKind::communication, Bytes::bytes(room)),
                    true);
}

void touch_squares(RunningOp& running) {
  const Collective& detail = collective_of(running.op());
  running.touch_all(running.find_squares(Access::update), true);
  if (detail.parameter_class || detail.begin != 0 || detail.element_bytes != 8 ||
      detail.end != square_numbers(running.plan().training))
    running.fail("its elements are not the whole sum");
}

void touch_values(RunningOp& running) {
  const Op& op = running.op();
  const Collective& detail = collective_of(op);
  Bytes whole;
  for (std::size_t k = 0; k < op.operands.size(); ++k) {
    const BufferId b = op.operands[k].buffer;
    const Buffer& it = running.rank().buffer(b);
    if (it.kind == BufferKind::communication) continue;
    if (it.kind != BufferKind::value && it.kind != BufferKind::gradient)
      running.fail("it works on what is no value");
    const bool writes = op.kind != OpKind::all_gather || k > 0 || values_of(running) == 1;
    if (writes && op.operands[k].access == Access::read)
      running.fail("it writes what it declares as read");
    running.touch_all(b, writes);
    whole = std::max(whole, it.size);
  }
  if (whole.bytes() != (detail.end - detail.begin) * detail.element_bytes)
    running.fail("its elements are not the whole value");
}

void touch_broadcast(RunningOp& running, ParameterClassId c) {
  const Collective& detail = collective_of(running.op());
  const bool sends = member_number(group_of(running), running.rank().id) < index(detail.sources);
  const BufferId b =
      running.find_class(sends ? Access::read : Access::write, BufferKind::parameters, c);
  running.touch(b, detail.begin, detail.end, !sends);
}

// Weights are gathered and gradients reduced in place, or from a shard into a range, or back.
void touch_elements(RunningOp& running, ParameterClassId c) {
  const RankFacts& rank = running.rank();
  const Op& op = running.op();
  const Collective& detail = collective_of(op);
  const bool weights = op.kind == OpKind::all_gather;
  const BufferKind flat = weights ? BufferKind::parameters : BufferKind::gradients;
  const ParameterClass& held = rank.class_at(c);
  const bool from_shards = weights && is_shard(held, flat);
  const bool into_shards = op.kind == OpKind::reduce_scatter && is_shard(held, flat);
  if (!from_shards && !into_shards)
    return running.touch(running.find_class(Access::update, flat, c), detail.begin, detail.end,
                         true);
  const BufferId shard = running.find_class(from_shards ? Access::read : Access::write, flat, c);
  const Group& group = group_of(running);
  const ElementRange chunk =
      chunk_of(detail.begin, detail.end, group.members.size(), member_number(group, rank.id));
  const std::int64_t offset = shard_offset(held, detail.begin);
  running.touch(shard, offset, offset + chunk.size(), into_shards);
  const BufferId range = running.find_range(
      from_shards ? Access::write : Access::update,
      from_shards ? BufferKind::gathered : BufferKind::unreduced, c, detail.begin, detail.end);
  const std::int64_t shift = rank.buffer(range).begin;
  running.touch(range, detail.begin - shift, detail.end - shift, true);
}

}  // namespace

std::ptrdiff_t values_of(const RunningOp& collective) {
  const auto& operands = collective.op().operands;
  return std::count_if(operands.begin(), operands.end(), [&](const Operand& operand) {
    return collective.rank().buffer(operand.buffer).kind != BufferKind::communication;
  });
}

void touch_operands(RunningOp& collective) {
  touch_room(collective);
  if (is_of_squares(collective.rank().program, collective.op())) return touch_squares(collective);
  const Collective& detail = collective_of(collective.op());
  if (!detail.parameter_class) return touch_values(collective);
  const OpKind kind = collective.op().kind;
  const bool weights = kind == OpKind::all_gather || kind == OpKind::broadcast;
  const StateSizes sizes = state_sizes(collective.plan().training);
  if (detail.element_bytes != (weights ? sizes.parameter : sizes.gradient))
    collective.fail("its elements have another size");
  if (kind == OpKind::broadcast) return touch_broadcast(collective, *detail.parameter_class);
  touch_elements(collective, *detail.parameter_class);
}

}  // namespace rehearse::testing::symbolic
