#include "tests/plan/symbolic/facts.h"

#include <fmt/format.h>

#include "model/plan/verify.h"

namespace rehearse::testing::symbolic {

ProgramFacts::ProgramFacts(const Plan& plan, const Net& full, const RankProgram& program)
    : net(net_of(plan, full, program)), lanes(program.lanes.size()) {
  const ElementSizes sizes = element_sizes(plan.training);
  for (std::size_t c = 0; c < program.parameter_classes.size(); ++c) {
    std::int64_t element = 0;
    for (const ParameterId p : program.parameter_classes[c].parameters) {
      const std::int64_t n = net.parameters[p.index()].shape.elements();
      places[p] = {ParameterClassId(c), element, element + n};
      element += n;
    }
  }
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    const Op& it = program.ops[op];
    lanes[it.lane.index()].emplace_back(op);
    lowerings.emplace_back();
    if (!is_pass(it.kind)) continue;
    const Compute& compute = compute_of(it);
    lowerings.back() = lower(net, compute.begin, compute.end, pass_of(program, it),
                             plan.micro_batch_samples, sizes);
  }
}

Bytes RankFacts::size_of_value(ValueId value) const {
  return size_of(net, value, plan.micro_batch_samples, element_sizes(plan.training));
}

void RankFacts::fail(OpId op, const std::string& what) const {
  throw Problem(fmt::format("rank {}, {}: {}", id.value(), describe_op(program, op), what));
}

PlanFacts::PlanFacts(const Plan& plan) : plan_(plan), full_(*whole_net(plan)) {
  for (const RankProgram& program : plan.programs)
    programs_.emplace_back(plan, full_, program);
  for (std::size_t r = 0; r < plan.ranks.size(); ++r) {
    const RankBinding& binding = plan.ranks[r];
    const ProgramFacts& facts = programs_[binding.program.index()];
    ranks_.push_back({RankId(r), plan, full_, binding, program_of(plan, RankId(r)), facts.net,
                      facts.places, facts.lowerings, facts.lanes});
  }
}

}  // namespace rehearse::testing::symbolic
