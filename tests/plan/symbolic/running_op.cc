#include "tests/plan/symbolic/running_op.h"

#include <fmt/format.h>

#include "tests/plan/symbolic/shards.h"

namespace rehearse::testing::symbolic {

RunningOp::RunningOp(const RankFacts& rank, RankMemory& memory, OpId id)
    : rank_(rank), memory_(memory), id_(id), op_(rank.op(id)) {}

void RunningOp::begin() {
  for (const Operand& operand : op_.operands) {
    if (operand.allocates) memory_.allocate(id_, operand.buffer);
    if (!memory_.is_allocated(operand.buffer))
      fail(fmt::format("buffer {} is not allocated", operand.buffer.value()));
    if (operand.allocates || operand.frees) touch_all(operand.buffer, true);
  }
}

void RunningOp::end() {
  for (const Write& it : writes_) {
    const Word before = it.adds ? read(it.buffer, it.element) : 0;
    write(it.buffer, it.element, before + it.content);
  }
  for (const Operand& operand : op_.operands) {
    if (operand.frees) memory_.free(operand.buffer);
  }
}

// ---- operands ----------------------------------------------------------------------------------

BufferId RunningOp::find(Access access, BufferKind kind,
                         const std::function<bool(const Buffer&)>& fits) const {
  const bool reads = access != Access::write, writes = access != Access::read;
  for (const Operand& operand : op_.operands) {
    const Buffer& it = rank_.buffer(operand.buffer);
    if (it.kind != kind || (fits && !fits(it))) continue;
    if ((reads && operand.access == Access::write) || (writes && operand.access == Access::read))
      continue;
    return operand.buffer;
  }
  fail(fmt::format("it has no {} to {}", to_string(kind), to_string(access)));
}

BufferId RunningOp::find_value(Access access, BufferKind kind, ValueId value) const {
  const BufferId b = find(access, kind, [&](const Buffer& it) { return it.value == value; });
  check_size(b, rank_.size_of_value(value));
  return b;
}

BufferId RunningOp::find_slab(Access access, BufferKind kind, Bytes size) const {
  const BufferId b = find(access, kind);
  check_size(b, size);
  return b;
}

BufferId RunningOp::find_class(Access access, BufferKind kind, ParameterClassId c) const {
  const BufferId b = find(access, kind, [&](const Buffer& it) { return it.parameter_class == c; });
  check_room(b);
  return b;
}

BufferId RunningOp::find_range(Access access, BufferKind kind, ParameterClassId c,
                               std::int64_t begin, std::int64_t end) const {
  const BufferId b = find(access, kind, [&](const Buffer& it) {
    return it.parameter_class == c && it.begin <= begin && end <= it.end;
  });
  check_room(b);
  return b;
}

BufferId RunningOp::find_squares(Access access) const {
  const BufferId b = find(access, BufferKind::squares);
  check_size(b, Bytes::bytes(8 * square_numbers(plan().training)));
  return b;
}

void RunningOp::check_room(BufferId b) const {
  const StateSizes sizes = state_sizes(plan().training);
  const Buffer& it = rank_.buffer(b);
  const bool weights = it.kind == BufferKind::parameters || it.kind == BufferKind::gathered;
  const std::int64_t bytes = weights                                  ? sizes.parameter
                             : it.kind == BufferKind::optimizer_state ? sizes.optimizer
                             : it.kind == BufferKind::outer_state
                                 ? outer_state_bytes(plan().training, plan().outer)
                                 : sizes.gradient;
  check_size(b, Bytes::bytes(words_of(rank_.program, it) * bytes));
}

void RunningOp::check_size(BufferId b, Bytes needed) const {
  if (rank_.buffer(b).size < needed) fail(fmt::format("buffer {} is too small", b.value()));
}

// ---- what it works on --------------------------------------------------------------------------

void RunningOp::touch(BufferId b, std::int64_t begin, std::int64_t end, bool writes) {
  touches_.push_back({b, begin, end, writes});
}

std::optional<BufferId> RunningOp::clash(const RunningOp& other) const {
  for (const Touch& a : touches_) {
    for (const Touch& b : other.touches_) {
      if (a.buffer == b.buffer && a.begin < b.end && b.begin < a.end && (a.writes || b.writes))
        return a.buffer;
    }
  }
  return std::nullopt;
}

void RunningOp::write_at_end(BufferId b, std::int64_t element, Word content) {
  writes_.push_back({b, element, content, false});
}

void RunningOp::add_at_end(BufferId b, std::int64_t element, Word term) {
  writes_.push_back({b, element, term, true});
}

}  // namespace rehearse::testing::symbolic
