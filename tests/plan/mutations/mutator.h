// What ways of damaging a plan draw from.
#pragma once

#include <functional>
#include <vector>

#include "model/base/random.h"
#include "model/plan/plan.h"

namespace rehearse::testing {

// A plan, and one of its programs, which most ways damage.
class Mutator {
 public:
  Mutator(Plan& plan, Random& random) : plan(plan), random_(random) {
    program_number = below(plan.programs.size());
  }

  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_.below(n)); }
  template <class T>
  T& one_of(std::vector<T>& items) {
    return items[below(items.size())];
  }

  RankProgram& program() { return plan.programs[program_number]; }
  Op& any_op() { return one_of(program().ops); }
  // One of the ops that are such; none: there is none.
  Op* op_that(const std::function<bool(const Op&)>& fits) {
    std::vector<Op*> found;
    for (Op& op : program().ops) {
      if (fits(op)) found.push_back(&op);
    }
    return found.empty() ? nullptr : found[below(found.size())];
  }
  Operand* any_operand() {
    Op* op = op_that([](const Op& it) { return !it.operands.empty(); });
    return op == nullptr ? nullptr : &one_of(op->operands);
  }
  // None: this rank only passes on what others have made.
  ParameterClass* any_class() {
    auto& classes = program().parameter_classes;
    return classes.empty() ? nullptr : &one_of(classes);
  }
  template <class Detail>
  Detail* any_detail() {
    Op* op = op_that([](const Op& it) { return std::holds_alternative<Detail>(it.detail); });
    return op == nullptr ? nullptr : &std::get<Detail>(op->detail);
  }
  Compute* any_pass() {
    Op* op = op_that([](const Op& it) { return is_pass(it.kind); });
    return op == nullptr ? nullptr : &std::get<Compute>(op->detail);
  }
  Op* any_collective() {
    return op_that([](const Op& it) { return is_collective(it.kind); });
  }
  // A step up or down, or to somewhere near.
  std::int64_t another(std::int64_t number) {
    const std::vector<std::int64_t> others = {number - 1, number + 1, number / 2, number * 2,
                                              number + 4};
    return others[below(others.size())];
  }

  Plan& plan;
  std::size_t program_number = 0;

 private:
  Random& random_;
};

}  // namespace rehearse::testing
