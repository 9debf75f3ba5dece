// Groups, and what they exchange and add up.
#include "tests/plan/mutations/mutations.h"

namespace rehearse::testing {
namespace {

void change_group(Mutator& m) {
  if (m.plan.groups.empty()) return;
  auto& members = m.one_of(m.plan.groups).members;
  switch (m.below(4)) {
    case 0:
      members[m.below(members.size())] = RankId(m.below(m.plan.ranks.size()));
      break;
    case 1:
      members.erase(members.begin() + static_cast<std::ptrdiff_t>(m.below(members.size())));
      break;
    default:
      std::swap(m.one_of(members), m.one_of(members));
  }
}

void change_group_binding(Mutator& m) {
  RankBinding& rank = m.one_of(m.plan.ranks);
  if (rank.groups.empty()) return;
  if (m.below(2) == 0) {
    std::swap(m.one_of(rank.groups), m.one_of(rank.groups));
  } else {
    m.one_of(rank.groups) = GroupId(m.below(m.plan.groups.size()));
  }
}

void change_range(Mutator& m) {
  auto* collective = m.any_detail<Collective>();
  if (collective == nullptr) return;
  auto& bound = m.below(2) == 0 ? collective->begin : collective->end;
  bound = m.another(bound);
}

void change_divisor(Mutator& m) {
  auto* collective = m.any_detail<Collective>();
  if (collective != nullptr) collective->divisor = m.another(collective->divisor);
}

void change_sum(Mutator& m) {
  auto* sum = m.any_detail<Accumulate>();
  if (sum == nullptr) return;
  std::int64_t* const numbers[] = {&sum->begin, &sum->end, &sum->divisor};
  std::int64_t& number = *numbers[m.below(3)];
  number = m.another(number);
}

void change_collective_kind(Mutator& m) {
  constexpr OpKind kKinds[] = {OpKind::all_reduce, OpKind::reduce_scatter, OpKind::all_gather,
                               OpKind::broadcast};
  Op* op = m.any_collective();
  if (op != nullptr) op->kind = kKinds[m.below(4)];
}

void change_sources(Mutator& m) {
  auto* collective = m.any_detail<Collective>();
  if (collective != nullptr) collective->sources = m.another(collective->sources);
}

void change_element_bytes(Mutator& m) {
  auto* collective = m.any_detail<Collective>();
  if (collective != nullptr) collective->element_bytes = m.another(collective->element_bytes);
}

void change_group_slot(Mutator& m) {
  auto* collective = m.any_detail<Collective>();
  if (collective != nullptr) collective->group = m.below(3);
}

constexpr Mutation kMutations[] = {
    {"group", change_group},
    {"groups of a rank", change_group_binding},
    {"range of a collective", change_range},
    {"divisor of a collective", change_divisor},
    {"range or divisor of a sum", change_sum},
    {"kind of a collective", change_collective_kind},
    {"sources of a collective", change_sources},
    {"element bytes", change_element_bytes},
    {"group slot of a collective", change_group_slot},
};

}  // namespace

std::span<const Mutation> damage_to_collectives() {
  return kMutations;
}

}  // namespace rehearse::testing
