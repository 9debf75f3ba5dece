// Ops of a program put elsewhere, or left out.
#pragma once

#include <algorithm>
#include <vector>

#include "model/plan/plan.h"

namespace rehearse::testing {

// The ops in another order: order[k] is the old number of the op that now stands at k. Dependencies
// follow their ops; those on ops that are gone are dropped.
inline void reorder(RankProgram& program, const std::vector<std::size_t>& order) {
  std::vector<std::size_t> place(program.ops.size(), program.ops.size());
  std::vector<Op> ops;
  for (std::size_t k = 0; k < order.size(); ++k) {
    place[order[k]] = k;
    ops.push_back(program.ops[order[k]]);
  }
  for (Op& op : ops) {
    std::vector<OpId> after;
    for (const OpId before : op.after) {
      if (place[before.index()] < order.size()) after.emplace_back(place[before.index()]);
    }
    op.after = after;
  }
  program.ops = std::move(ops);
}

// Moves one op behind another that stands after it.
inline void move_behind(RankProgram& program, std::size_t op, std::size_t behind) {
  std::vector<std::size_t> order;
  for (std::size_t k = 0; k < program.ops.size(); ++k) {
    if (k != op) order.push_back(k);
    if (k == behind) order.push_back(op);
  }
  reorder(program, order);
}

inline void drop_op(RankProgram& program, std::size_t op) {
  std::vector<std::size_t> order;
  for (std::size_t k = 0; k < program.ops.size(); ++k) {
    if (k != op) order.push_back(k);
  }
  reorder(program, order);
}

inline void swap_ops(RankProgram& program, std::size_t a, std::size_t b) {
  std::vector<std::size_t> order;
  for (std::size_t k = 0; k < program.ops.size(); ++k)
    order.push_back(k == a ? b : k == b ? a : k);
  reorder(program, order);
}

}  // namespace rehearse::testing
