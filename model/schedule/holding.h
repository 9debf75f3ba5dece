// Who holds what: a strategy's split over the ranks, and what each worker has of the network.
//
// It is found before any plan is built, so that estimates have the same.
#pragma once

#include <optional>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/net/net.h"
#include "model/plan/plan.h"
#include "model/schedule/pipeline.h"
#include "model/schedule/strategy.h"

namespace rehearse {

struct Split {
  Mesh mesh;                          // of the ranks that are there
  std::int64_t all_workers = 1;       // with those that are lost
  std::vector<std::int64_t> workers;  // that are left
  PipelineShape shape;
  std::int64_t samples = 1;  // of a micro-batch
  bool masks = false;        // whether somebody leaves something out
  UnitRule units;
};
// Errors: those of strategy.h's functions, in their order; of workers that are lost.
Result<Split> split_of(const StrategySpec& strategy, const Net& net, const Training& training,
                       std::int64_t devices);

// Of units, one worker's or the mean; the numbers are kept since scales are printed in full.
struct Share {
  std::int64_t held = 1, all = 1;
  double value() const { return static_cast<double>(held) / static_cast<double>(all); }
  double inverse() const { return static_cast<double>(all) / static_cast<double>(held); }
};

// By unit: the replica that it is parked on (HolderClass); empty: nothing is parked.
using Parking = std::vector<std::optional<std::size_t>>;

struct Holding {
  std::vector<Subnetwork> workers;  // that are left
  Parking parked;
  Share mean;                 // of all workers, with those that are lost
  std::vector<Share> shares;  // of those that are left; empty: they are the mean
  // By replica, what it runs in this step of what it holds; empty: all.
  std::vector<Subnetwork> runs = {};

  const Share& share_of(std::size_t worker) const { return shares.empty() ? mean : shares[worker]; }
};
// What the workers that are left hold. net: as the units are cut (Split::units). Errors: a unit
// that is lost with its holders; one whose gradient nobody would divide by all.
Result<Holding> holding_of(const StrategySpec& strategy, const Training& training, const Net& net,
                           const Split& split);
// Whether workers read what they do not hold; how what is held is averaged.
Masking masking_of(const StrategySpec& strategy, const Split& split);
Averaging averaging_of(const StrategySpec& strategy, const Split& split);
// What a worker's branches that not all workers train are multiplied by in training, if they are.
std::optional<double> scale_in_training(const StrategySpec& strategy, const Split& split,
                                        const Holding& holding, std::size_t worker);

}  // namespace rehearse
