// How well the gradients of subnetworks agree with the whole network's, on one common batch (Singh
// et al., arXiv 2507.09029, explain by it which subnetworks train well): cosines of
//
//   (a) worker i's gradient and the whole network's, over what i holds;
//   (b) worker i's and worker k's, over what both hold;
//   (c) the aggregate, which training would step along, and the whole network's, over everything.
//
// The batch is the next step's global one, for everybody. Worker i's network is the one it trains,
// the whole one that of evaluation, which has every unit and its branches scaled for it, though
// with dropout and batch statistics as in training. The aggregate is the mean over holders, or as
// the plan averages. Under backward masking all are 1.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "exec/backend.h"
#include "exec/batch_source.h"
#include "exec/run/assemble.h"
#include "exec/transport.h"
#include "model/net/net.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

// Cosines over the parameters of one block, or all; none where there are none in common, or a
// gradient is 0.
struct Alignment {
  struct Pair {
    std::size_t first = 0, second = 0;  // workers, ascending
    std::optional<double> cosine;
  };
  std::vector<std::optional<double>> workers;  // (a), by worker
  std::vector<Pair> pairs;                     // (b), all of them
  std::optional<double> aggregate;             // (c)
};

struct AlignmentAt {
  std::int64_t step = 0;  // steps done
  Alignment overall;
  std::vector<Alignment> blocks;  // by BlockId
};

// Least and mean of the cosines that there are; none if there are none.
struct Cosines {
  double least = 0, mean = 0;
};
std::optional<Cosines> over_workers(const Alignment& alignment);
std::optional<Cosines> over_pairs(const Alignment& alignment);

// After so many steps; weights: the assembled model's. Everybody calls this; rank 0 gets the
// result, the others none. A rank of every worker computes its gradient, rank 0 the whole network's
// too, and keeps these two; the others' come piece by piece.
std::optional<AlignmentAt> align_gradients(const Plan& plan, const Net& net, const Weights& weights,
                                           std::int64_t steps, Backend& backend,
                                           Transport& transport, BatchSource& batches);

}  // namespace rehearse::exec
