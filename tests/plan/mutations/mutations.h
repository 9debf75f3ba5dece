// Ways to damage a plan, one at random of its kind at a time. They may leave it as it is.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "tests/plan/mutations/mutator.h"

namespace rehearse::testing {

struct Mutation {
  std::string_view name;
  void (*apply)(Mutator&);
};

// All of them.
std::vector<Mutation> mutations();

std::span<const Mutation> damage_to_order_of_ops();
std::span<const Mutation> damage_to_messages();
std::span<const Mutation> damage_to_collectives();
std::span<const Mutation> damage_to_ops();
std::span<const Mutation> damage_to_updates();
std::span<const Mutation> damage_to_ranks();

}  // namespace rehearse::testing
