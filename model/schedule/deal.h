// Units dealt by coverage: each worker holds its share of them, whoever else holds them, so that
// some units have more holders than others, or none.
//
// Of the n units of every width, or of the n blocks that are units, a worker of coverage r holds
// ceil(r n):
//   nested   the first ones (HeteroFL: Diao, Ding, Tarokh, arXiv 2010.01264);
//   random   a set of its own, drawn anew with every draw (federated dropout: Caldas et al., arXiv
//            1812.07210);
//   rolling  those from one unit on that all workers begin with, and around; the next one with
//   every
//            draw (FedRolex: Alam et al., arXiv 2212.01548).
//
// What nobody holds is parked: one replica keeps it until somebody holds it again.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/net/net.h"
#include "model/schedule/assignment.h"
#include "model/schedule/fraction.h"
#include "model/schedule/strategy.h"

namespace rehearse {

// n: of every width there are equally many.
std::int64_t units_dealt(const Net& net);

// coverages: by worker. kind: not balanced.
Assignment deal_units(const Net& net, AssignmentKind kind, const std::vector<Fraction>& coverages,
                      std::uint64_t seed, std::int64_t draw);

// By unit that nobody holds in this draw: the replica that keeps it, data replica times workers
// plus worker. It stays where it was parked; what was held in the draw before stays with one of its
// holders; what has never been held goes anywhere. Where there is a choice, to who has fewest
// parameters, the largest units first. A draw follows from all before it: O(draw x units x
// replicas).
std::vector<std::optional<std::size_t>> park_units(const Net& net, AssignmentKind kind,
                                                   const std::vector<Fraction>& coverages,
                                                   std::int64_t data_replicas, std::uint64_t seed,
                                                   std::int64_t draw);

}  // namespace rehearse
