// Pipeline schedules: where the stages stand, and in which order every rank runs its passes.
//
// A pipeline of p ranks has v p stages, v (chunks) on each rank: "stage" is what the literature
// calls a virtual stage when v > 1. A schedule is a function from the shape (and, where it places
// passes by time, the costs) to one list of passes per rank. It knows nothing of buffers and
// messages; actions.h adds the ones, rank_program.h the others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/base/diagnostic.h"
#include "model/base/ids.h"

namespace rehearse {

// What one pass computes. A backward pass is whole, or split into its input gradients, which the
// stage before waits for, and its weight gradients, which nobody waits for (Qi et al., Zero Bubble
// Pipeline Parallelism, arXiv 2401.10241, section 2).
enum class Task { forward, backward, backward_input, backward_weight };
std::string_view to_string(Task task);

struct Slot {
  Task task = Task::forward;
  StageId stage;
  MicroBatchId micro_batch;
  friend bool operator==(const Slot&, const Slot&) = default;
};

// On which rank a stage stands. loop: stage s on rank s mod p. vee: down the ranks and up again,
// stages s and 2p-1-s on rank s.
enum class Placement { loop, vee };

struct PipelineShape {
  std::int64_t ranks = 1, chunks = 1, micro_batches = 1;
  Placement placement = Placement::loop;
  std::int64_t stages() const { return ranks * chunks; }
};
std::size_t rank_of(const PipelineShape& shape, StageId stage);
// The chunks of a rank, in ascending order.
std::vector<StageId> stages_of(const PipelineShape& shape, std::size_t rank);

// Seconds of one pass of one micro-batch, by stage; and of a message between neighbouring stages on
// different ranks, which occupies neither's compute.
struct PipelineCosts {
  std::vector<double> forward, backward_input, backward_weight;
  double transfer = 0;
};

// How stages exchange what they make: while they compute; or computing waits for it, for all
// messages between two passes at once, as in Megatron-LM, or for one after the other, as in
// DeepSpeed (rendezvous.h).
enum class StageExchange { overlapped, batched, serial };
const std::vector<StageExchange>& stage_exchanges();
std::string_view to_string(StageExchange exchange);
inline bool is_waited_for(StageExchange exchange) {
  return exchange != StageExchange::overlapped;
}

struct PipelineRequest {
  PipelineShape shape;
  PipelineCosts costs;  // read by schedules that need them
  // Most activations (of one micro-batch and stage, from its forward to the end of its backward)
  // that any rank may keep, in units of one rank's share of the model: v chunks are one unit.
  double live_limit = 0;
  // The share of an activation that stays after its input gradients until its weight gradients, by
  // which `live_limit` is counted. 1 counts it whole; Qi et al. count 32 / (34 + 5 a s / h), since
  // attention's part is free by then (arXiv 2401.10241, table 1).
  double kept_after_input = 1;
};

struct PipelineSchedule {
  std::string_view name, help;
  Placement placement;
  // Chunks per rank: both 1 for plain schedules.
  std::int64_t fewest_chunks, most_chunks;
  bool splits_backward;  // uses backward_input and backward_weight
  bool needs_costs;      // places passes by time
  bool takes_live_limit;
  // What is wrong with such a shape (interleaving needs m to be a multiple of p, ...).
  Status (*check)(const PipelineShape& shape);
  // By rank: its passes in the order it issues them. shape has been checked.
  std::vector<std::vector<Slot>> (*order)(const PipelineRequest& request);
};

// All schedules, sorted by name.
const std::vector<PipelineSchedule>& pipeline_schedules();
const PipelineSchedule* find_pipeline_schedule(std::string_view name);

}  // namespace rehearse
