// State, its holders, and how it is updated.
#include "tests/plan/mutations/mutations.h"

namespace rehearse::testing {
namespace {

void change_sharding(Mutator& m) {
  ParameterClass* held = m.any_class();
  if (held != nullptr) held->sharding = static_cast<Sharding>(m.below(4));
}

void change_holding(Mutator& m) {
  ParameterClass* held = m.any_class();
  if (held == nullptr) return;
  switch (m.below(3)) {
    case 0:
      held->is_held = !held->is_held;
      break;
    case 1:
      held->readers = held->readers ? std::nullopt : std::optional<std::size_t>(m.below(4));
      break;
    default:
      held->readers = m.below(4);
  }
}

// A class of some program is parked in another, too, or with nobody instead.
void change_parking(Mutator& m) {
  const ParameterClass* from = m.any_class();
  if (from == nullptr) return;
  ParameterClass parked = *from;
  parked.is_held = false;
  parked.holders = 0;
  parked.group.reset();
  parked.readers.reset();
  RankProgram& into = m.one_of(m.plan.programs);
  into.buffers.push_back(
      {.kind = BufferKind::parameters,
       .size = Bytes::bytes(parked.elements * state_sizes(m.plan.training).parameter),
       .parameter_class = ParameterClassId(into.parameter_classes.size())});
  into.parameter_classes.push_back(parked);
  ParameterClass* last = m.any_class();
  if (m.below(2) == 0 && is_parked(*last)) last->parameters.clear(), last->elements = 0;
}

void change_holders(Mutator& m) {
  ParameterClass* held = m.any_class();
  if (held != nullptr) held->holders = m.another(held->holders);
}

void change_masking(Mutator& m) {
  m.plan.masking = m.plan.masking == Masking::forward ? Masking::backward : Masking::forward;
}

void change_local_steps(Mutator& m) {
  switch (m.below(3)) {
    case 0:
      m.plan.local_steps = 1 + static_cast<std::int64_t>(m.below(3));
      break;
    case 1:
      m.plan.synchronises = !m.plan.synchronises;
      break;
    default:
      m.plan.outer = m.plan.outer ? std::nullopt : std::optional<OuterOptimizer>(OuterOptimizer{});
  }
}

void change_update_kind(Mutator& m) {
  constexpr OpKind kKinds[] = {OpKind::optimizer_step, OpKind::outer_gradient, OpKind::outer_step};
  Op* op = m.op_that([](const Op& it) { return std::holds_alternative<Optimize>(it.detail); });
  if (op != nullptr) op->kind = kKinds[m.below(3)];
}

void change_buckets(Mutator& m) {
  ParameterClass* held = m.any_class();
  if (held == nullptr || held->buckets.empty()) return;
  std::int64_t& end = m.one_of(held->buckets);
  end = m.another(end);
}

void change_class(Mutator& m) {
  ParameterClass* held = m.any_class();
  if (held != nullptr) std::swap(m.one_of(held->parameters), m.one_of(held->parameters));
}

void change_optimizer_class(Mutator& m) {
  auto* step = m.any_detail<Optimize>();
  if (step != nullptr && m.any_class() != nullptr)
    step->parameter_class = ParameterClassId(m.below(m.program().parameter_classes.size()));
}

constexpr Mutation kMutations[] = {
    {"sharding of a class", change_sharding},
    {"who holds or reads a class", change_holding},
    {"where a class is parked", change_parking},
    {"holders of a class", change_holders},
    {"masking", change_masking},
    {"local steps", change_local_steps},
    {"kind of an update", change_update_kind},
    {"buckets of a class", change_buckets},
    {"order of a class", change_class},
    {"class of an update", change_optimizer_class},
};

}  // namespace

std::span<const Mutation> damage_to_updates() {
  return kMutations;
}

}  // namespace rehearse::testing
