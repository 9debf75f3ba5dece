// Plans for a ResNet-20, and what is in their programs.
#pragma once

#include <vector>

#include "tests/schedule/plans.h"

namespace rehearse::testing {

inline Plan resnet_plan(const StrategySpec& strategy, std::int64_t devices = 4) {
  return *plan_of({"", strategy, resnet20(), devices});
}

inline std::vector<std::size_t> ops_of(const RankProgram& program, OpKind kind) {
  std::vector<std::size_t> ops;
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (program.ops[op].kind == kind) ops.push_back(op);
  }
  return ops;
}

}  // namespace rehearse::testing
