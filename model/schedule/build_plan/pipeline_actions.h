// The pipeline of a plan: where its stages begin and stand, and what its ranks do in which order.
#pragma once

#include <optional>
#include <vector>

#include "model/schedule/actions.h"
#include "model/schedule/pipeline.h"
#include "model/schedule/stages.h"
#include "model/schedule/strategy.h"

namespace rehearse {

struct PipelineActions {
  PipelineShape shape;
  std::vector<std::size_t> first_blocks;     // of the stages, and one past the last block
  std::vector<std::size_t> ranks_of_stages;  // ranks of the pipeline
  std::vector<std::vector<Action>> ranks;

  // Ranks with which this one exchanges messages, ascending: its peers in order.
  std::vector<std::size_t> neighbours(std::size_t rank) const;
  // By stage: the peer that it stands on; none: this rank, or no neighbour.
  std::vector<std::optional<std::size_t>> peer_slots(std::size_t rank) const;
};

// cut: where stages begin; none: where the costs are cut most evenly.
PipelineActions pipeline_actions(const StrategySpec& strategy, const PipelineShape& shape,
                                 const StageCosts& costs, const std::optional<StageCut>& cut);

}  // namespace rehearse
