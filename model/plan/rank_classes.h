// Ranks that cannot be told apart by what they run and whom they meet.
//
// Two ranks are alike if they run the same program, and their peers and groups, slot by slot, are
// alike in turn: the coarsest such partition, found by refining the ranks' programs until nothing
// changes (colour refinement; Paige and Tarjan, SIAM J. Comput. 1987). Whatever a verified property
// or a run without time says of one of them holds of all: alike ranks issue and end the same ops in
// the same rounds, by induction over the rounds, since an op's end depends on nothing but the ends
// of its predecessors and the issue of its partners, who are alike. A plan of 16,384 ranks has as
// few classes as its pipeline has stages.
#pragma once

#include <optional>
#include <vector>

#include "model/plan/plan.h"

namespace rehearse {

struct RankClasses {
  // A peer as seen from a class: the class it is in, and which of its slots leads back; none: it
  // does not know of us.
  struct Peer {
    std::size_t rank_class;
    std::optional<std::size_t> slot;
  };
  // Members of a group, by class and their slot for it; none: they do not bind it.
  struct Member {
    std::size_t rank_class;
    std::optional<std::size_t> slot;
    friend auto operator<=>(const Member&, const Member&) = default;
  };

  std::vector<std::size_t> class_of;             // by rank
  std::vector<RankId> first;                     // by class: its lowest rank
  std::vector<std::size_t> sizes;                // by class: ranks
  std::vector<std::vector<Peer>> peers;          // by class and peer slot
  std::vector<std::vector<std::size_t>> groups;  // by class and group slot: a kind of group
  std::vector<std::vector<Member>> kinds;        // by kind of group: who takes part, each once

  const RankProgram& program(const Plan& plan, std::size_t rank_class) const {
    return program_of(plan, first[rank_class]);
  }
};

// The bindings must have right numbers (verify()'s structure). O((ranks + memberships) rounds).
RankClasses classify(const Plan& plan);

}  // namespace rehearse
