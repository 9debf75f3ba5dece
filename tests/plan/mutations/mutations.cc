#include "tests/plan/mutations/mutations.h"

namespace rehearse::testing {

std::vector<Mutation> mutations() {
  std::vector<Mutation> all;
  for (const auto part : {damage_to_order_of_ops(), damage_to_messages(), damage_to_collectives(),
                          damage_to_ops(), damage_to_updates(), damage_to_ranks()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace rehearse::testing
