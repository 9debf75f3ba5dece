// What distinguishes ranks: the program they run, and the device they run it on.
#pragma once

#include <cstdint>
#include <vector>

#include "model/cluster/cluster.h"
#include "model/plan/plan.h"

namespace rehearse {

struct RankKind {
  RankClassId program;
  std::size_t device = 0;  // Cluster::numbered_device()
  friend auto operator<=>(const RankKind&, const RankKind&) = default;
};

struct RankKinds {
  std::vector<RankKind> kinds;         // that occur, sorted
  std::vector<std::uint32_t> of_rank;  // by rank, an index of kinds
};

// The cluster has as many ranks as the plan.
RankKinds rank_kinds(const Plan& plan, const Cluster& cluster);

}  // namespace rehearse
