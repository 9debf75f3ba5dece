// Who exchanges what with whom: the groups of holders and readers of each class, where the mesh
// puts them, and what their exchanges and updates take.
#pragma once

#include <optional>
#include <vector>

#include "cost/closed_form/mesh_costs.h"
#include "cost/closed_form/worker_ranks.h"

namespace rehearse {

struct WorkerGroup {
  RingGroup holders;
  std::vector<std::size_t> members;  // that hold it: of WorkerRanks::ranks
  std::vector<std::size_t> readers;  // that only read it
  // New weights to these: from the holders' ranks, of which there are so many, along these ways.
  std::size_t sources = 0, all = 0;
  Paths out, around;
  Crossed crossed;  // by reductions
  bool shares_links = false;
};
// By class.
std::vector<WorkerGroup> worker_groups(const WorkerRanks& ranks, Routes& routes, const Mesh& mesh);

struct UpdateRule {
  Sharding sharding = Sharding::none;  // none or of the optimizer's state
  bool is_local = false;               // WorkerStepRule's
  std::optional<OuterOptimizer> outer = std::nullopt;
};
// Seconds, and bytes.
struct WorkerPrices {
  struct OfBucket {
    double reduction = 0, gather = 0;
    std::int64_t room = 0;  // of a chunk received
  };
  struct OfClass {
    bool is_reduced = false, is_sharded = false;
    double optimizer = 0, outer_gradient = 0, outer_step = 0;
    double sent = 0, broadcast = 0;  // until its sources, and all, are done with it
    std::int64_t updated = 0;        // elements that a holder updates
  };
  std::vector<OfBucket> buckets;
  std::vector<OfClass> classes;
  std::vector<double> squares;      // by rank
  std::vector<std::int64_t> state;  // by rank: weights, gradients and what optimizers keep
};
WorkerPrices worker_prices(const WorkerRanks& ranks, const std::vector<WorkerGroup>& groups,
                           const Training& training, const Device& device, const UpdateRule& rule);

}  // namespace rehearse
