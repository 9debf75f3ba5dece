// What ops wait for, work on and do.
#include "tests/plan/mutations/mutations.h"

namespace rehearse::testing {
namespace {

void drop_dependency(Mutator& m) {
  Op* op = m.op_that([](const Op& it) { return !it.after.empty(); });
  if (op == nullptr) return;
  op->after.erase(op->after.begin() + static_cast<std::ptrdiff_t>(m.below(op->after.size())));
}

void move_dependency(Mutator& m) {
  Op* op = m.op_that([](const Op& it) { return !it.after.empty(); });
  if (op != nullptr) m.one_of(op->after) = OpId(m.below(m.program().ops.size()));
}

void change_access(Mutator& m) {
  Operand* operand = m.any_operand();
  if (operand != nullptr) operand->access = static_cast<Access>(m.below(3));
}

void change_lifetime(Mutator& m) {
  Operand* operand = m.any_operand();
  if (operand == nullptr) return;
  bool& flag = m.below(2) == 0 ? operand->allocates : operand->frees;
  flag = !flag;
}

// The end of a buffer's life moves from one of its users to another.
void move_free(Mutator& m) {
  const BufferId buffer(m.below(m.program().buffers.size()));
  std::vector<Operand*> users;
  for (Op& op : m.program().ops) {
    for (Operand& operand : op.operands) {
      if (operand.buffer == buffer) users.push_back(&operand);
    }
  }
  if (users.empty()) return;
  Operand *a = m.one_of(users), *b = m.one_of(users);
  std::swap(a->frees, b->frees);
}

void change_buffer(Mutator& m) {
  Operand* operand = m.any_operand();
  if (operand == nullptr) return;
  const auto& buffers = m.program().buffers;
  const Buffer& now = buffers[operand->buffer.index()];
  std::vector<BufferId> alike;
  for (std::size_t b = 0; b < buffers.size(); ++b) {
    if (buffers[b].kind == now.kind && buffers[b].size == now.size) alike.emplace_back(b);
  }
  operand->buffer = m.one_of(alike);
}

// Two operands of one kind change places: each buffer is still used as often.
void swap_buffers(Mutator& m) {
  Operand *a = m.any_operand(), *b = m.any_operand();
  if (a == nullptr) return;
  const auto& buffers = m.program().buffers;
  if (buffers[a->buffer.index()].kind == buffers[b->buffer.index()].kind)
    std::swap(a->buffer, b->buffer);
}

// Some users of a transient buffer work on another one.
void second_buffer(Mutator& m) {
  RankProgram& program = m.program();
  const BufferId old(m.below(program.buffers.size()));
  if (is_persistent(program.buffers[old.index()].kind)) return;
  std::vector<Operand*> moved;
  for (Op& op : program.ops) {
    for (Operand& operand : op.operands) {
      if (operand.buffer == old && m.below(2) == 0) moved.push_back(&operand);
    }
  }
  if (moved.empty()) return;
  const BufferId added(program.buffers.size());
  program.buffers.push_back(program.buffers[old.index()]);
  for (Operand* operand : moved) {
    operand->buffer = added;
    operand->allocates = operand->frees = false;
  }
  moved.front()->allocates = moved.back()->frees = true;
  if (moved.front()->access == Access::update) moved.front()->access = Access::write;
  // The others' buffer lives from its first user to its last.
  std::vector<Operand*> left;
  for (Op& op : program.ops) {
    for (Operand& operand : op.operands) {
      if (operand.buffer == old) left.push_back(&operand);
    }
  }
  for (Operand* operand : left)
    operand->allocates = operand->frees = false;
  if (!left.empty()) left.front()->allocates = left.back()->frees = true;
}

void change_size(Mutator& m) {
  Buffer& buffer = m.one_of(m.program().buffers);
  buffer.size = Bytes::bytes(m.another(buffer.size.bytes()));
}

void change_content(Mutator& m) {
  Buffer& buffer = m.one_of(m.program().buffers);
  const Buffer& other = m.one_of(m.program().buffers);
  buffer.value = other.value;
  if (m.below(2) == 0) return;
  buffer.parameter_class = other.parameter_class;
  buffer.begin = other.begin;
  buffer.end = other.end;
}

void change_micro_batch(Mutator& m) {
  Compute* pass = m.below(4) == 0 ? m.any_detail<Compute>() : m.any_pass();
  if (pass != nullptr) pass->micro_batch = MicroBatchId(m.below(4));
}

void change_segments(Mutator& m) {
  Compute* pass = m.any_pass();
  if (pass == nullptr) return;
  SegmentId& bound = m.below(2) == 0 ? pass->begin : pass->end;
  bound = SegmentId(m.below(2) == 0 ? bound.index() + 1
                                    : bound.index() - std::min<std::size_t>(1, bound.index()));
}

void change_pass_kind(Mutator& m) {
  constexpr OpKind kKinds[] = {OpKind::forward, OpKind::backward, OpKind::backward_input,
                               OpKind::backward_weight, OpKind::recompute};
  Op* op = m.op_that([](const Op& it) { return is_pass(it.kind); });
  if (op != nullptr) op->kind = kKinds[m.below(5)];
}

void drop_operand(Mutator& m) {
  Op* op = m.op_that([](const Op& it) { return !it.operands.empty(); });
  if (op == nullptr) return;
  op->operands.erase(op->operands.begin() +
                     static_cast<std::ptrdiff_t>(m.below(op->operands.size())));
}

void swap_operands(Mutator& m) {
  Op* op = m.op_that([](const Op& it) { return it.operands.size() > 1; });
  if (op != nullptr) std::swap(m.one_of(op->operands), m.one_of(op->operands));
}

constexpr Mutation kMutations[] = {
    {"drop a dependency", drop_dependency},
    {"move a dependency", move_dependency},
    {"access of an operand", change_access},
    {"lifetime of a buffer", change_lifetime},
    {"move the end of a life", move_free},
    {"buffer of an operand", change_buffer},
    {"swap two buffers", swap_buffers},
    {"add a buffer", second_buffer},
    {"size of a buffer", change_size},
    {"content of a buffer", change_content},
    {"micro-batch of a pass", change_micro_batch},
    {"segments of a pass", change_segments},
    {"kind of a pass", change_pass_kind},
    {"drop an operand", drop_operand},
    {"swap two operands", swap_operands},
};

}  // namespace

std::span<const Mutation> damage_to_ops() {
  return kMutations;
}

}  // namespace rehearse::testing
