// A step of data-parallel ranks that share out gradients (ZeRO-2) or parameters (ZeRO-3), without a
// pipeline.
//
// What is gathered and reduced runs ahead of passes and behind them, across blocks and
// micro-batches, so that a pass alone says little. Read is the rank's real program instead, of two
// and three micro-batches, played on an idle machine (program_player.h): once micro-batches follow
// each other in the same way, one more of them adds as much as the one before. All blocks are
// played, as what is gathered and reduced lies beside each of them differently; what is alive is
// said by kFewRepeats of the alike ones and one more, where buckets cut all of them alike.
#pragma once

#include <cstdint>

#include "cost/closed_form/gradient_norm.h"
#include "cost/closed_form/mesh_costs.h"
#include "cost/closed_form/rank_net.h"
#include "model/schedule/strategy.h"

namespace rehearse {

struct ShardedSettings {
  const StrategySpec& strategy;
  const MeshCosts& mesh;
  std::int64_t data = 1, samples = 1, micro_batches = 1;  // samples: of a micro-batch
  const NormTimes* norm =
      nullptr;  // until all ranks have added up their squares; null: nobody asks
  std::int64_t norm_ranks = 1;
};

struct ShardedStep {
  double step = 0;            // seconds
  double span = 0, busy = 0;  // from the first pass to the last; computing in it
  double optimizer = 0;       // computing after it
  std::int64_t live = 0;      // bytes of the arena when most is alive
  bool is_backward = false;   // that then a backward pass runs
};

ShardedStep sharded_step(const RankNet& net, const ShardedSettings& settings,
                         const Training& training, const Device& device);

}  // namespace rehearse
