// Ops in another order.
#include "tests/plan/mutations/mutations.h"
#include "tests/plan/mutations/reorder.h"

namespace rehearse::testing {
namespace {

void drop_op(Mutator& m) {
  testing::drop_op(m.program(), m.below(m.program().ops.size()));
}

void swap_neighbours(Mutator& m) {
  if (m.program().ops.size() < 2) return;
  const std::size_t op = m.below(m.program().ops.size() - 1);
  testing::swap_ops(m.program(), op, op + 1);
}

void swap_any(Mutator& m) {
  const std::size_t n = m.program().ops.size();
  testing::swap_ops(m.program(), m.below(n), m.below(n));
}

void move_op(Mutator& m) {
  const std::size_t n = m.program().ops.size();
  const std::size_t op = m.below(n);
  if (op + 1 < n) testing::move_behind(m.program(), op, op + 1 + m.below(n - op - 1));
}

constexpr Mutation kMutations[] = {
    {"drop an op", drop_op},
    {"swap neighbouring ops", swap_neighbours},
    {"swap two ops", swap_any},
    {"move an op", move_op},
};

}  // namespace

std::span<const Mutation> damage_to_order_of_ops() {
  return kMutations;
}

}  // namespace rehearse::testing
