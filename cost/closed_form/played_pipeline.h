// A step of ranks that share out gradients (ZeRO-2) or parameters (ZeRO-3) in a pipeline, or that
// reduce gradients when all passes have ended; and of pipelines whose ranks exchange with both
// neighbours at once while they wait.
//
// What is gathered and reduced goes on beside the passes of every micro-batch, which wait for it,
// and for those of other stages; on links all that is under way has its share. Read are the plans
// of few micro-batches, and of one turn of the schedule more, played on an idle machine over a few
// steps: once turns follow each other in the same way, one more adds as much as the one before, to
// times and to what is alive at each op.
#pragma once

#include <optional>
#include <vector>

#include "cost/closed_form/mesh_costs.h"
#include "cost/closed_form/step.h"
#include "model/net/net.h"
#include "model/schedule/stages.h"
#include "model/schedule/strategy.h"

namespace rehearse {

struct PlayedPipelineSettings {
  const StrategySpec& strategy;
  const Net& whole;     // as the model builds it
  const Net& rank_net;  // as a rank runs it
  const StageCut& cut;
  const Mesh& mesh;
  const MeshCosts& costs;
  PipelineShape shape;
  const PipelineSchedule& schedule;
  std::int64_t samples = 1;  // of a micro-batch
  const NormTimes* norm =
      nullptr;                 // until all ranks have added up their squares; null: nobody asks
  bool has_stand_ins = false;  // of gradients
};

// Of as many micro-batches as are read, of the longer one of the two plans.
PipelineShape shape_played(PipelineShape shape);

struct PlayedPipelineStep {
  StepTimes times;
  std::vector<RankPeak> peaks;   // by rank
  std::vector<Bytes> stand_ins;  // by rank, of gradients
};
// None: others than the first and the last rank share parameters.
std::optional<PlayedPipelineStep> played_pipeline_step(const PlayedPipelineSettings& settings,
                                                       const Training& training,
                                                       const Device& device);

}  // namespace rehearse
