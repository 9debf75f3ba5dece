// The program of one rank: its pipeline actions made into ops on buffers.
//
// A rank's stages are cut into parts where something happens in between: where a bucket of
// gradients becomes complete, so that its reduction can start while backward goes on; at blocks, if
// their parameters are gathered or their activations recomputed one by one; and where
// tensor-parallel ranks exchange sums. Every pass of a micro-batch is one op per part.
#pragma once

#include <vector>

#include "model/plan/plan.h"
#include "model/schedule/actions.h"
#include "model/schedule/buckets.h"
#include "model/schedule/collective_choice.h"

namespace rehearse {

struct RankFrame {
  std::string name;
  std::vector<Stage> stages;      // on this rank
  std::vector<SegmentId> starts;  // of all stages of the pipeline, and the network's end
  Subnetwork subnetwork;
  bool clears = false;  // whether it holds more than it runs, and adds zeros to those gradients
  std::optional<double> branch_scale_in_training;  // RankProgram's
  // By stage of the pipeline: the peer slot of the rank it stands on; none: on this rank, or on no
  // neighbour.
  std::vector<std::optional<std::size_t>> peers;
  std::vector<Action> actions;
  std::int64_t micro_batches = 1;
  std::int64_t samples = 1;  // of a micro-batch
  Recomputation recomputation = Recomputation::none;
  // Blocks whose parameters are asked for before the one in use is done with, where they are
  // sharded.
  std::int64_t prefetch = 1;
  // Whether passes wait for reductions of sharded gradients, so that few unreduced ones are in
  // memory: all members of their groups have to reduce at the same passes, on every stage.
  bool bounds_reductions = false;
  // Whether gradients are reduced while backward goes on, or when all of it has ended.
  bool overlap = true;
  // Whether passes wait for all messages before them in `actions`, those that are sent too; and
  // messages for one another.
  StageExchange exchange = StageExchange::overlapped;
  // Whether gradients stay where they are, for local steps (Plan::local_steps); whether the weights
  // come together at the end of this one, and how.
  bool is_local = false, synchronises = false;
  std::optional<OuterOptimizer> outer = std::nullopt;
  // Group slot and what it is like, where tensor parallelism is used.
  std::optional<std::size_t> tensor_group;
  CollectiveGroup tensor_layout;
  bool overlaps_tensor = false;  // TensorSpec::overlap
  bool scatters = false;         // PipelineSpec::scatter_gather
  // Group slot of the ranks that share a norm and their number, where gradients are clipped between
  // several: all, or those of a replica.
  std::optional<std::size_t> norm_group;
  std::size_t norm_ranks = 1;
  // By which algorithm something is exchanged.
  CollectiveAsked collectives = CollectiveAlgorithm::ring;
  const CollectiveCosts* collective_costs = nullptr;
};

// One holder class as this program sees it.
struct OwnClass {
  const HolderClass* holder_class;
  std::optional<std::size_t> group;  // slot
  std::size_t members = 1;           // of the group
  std::int64_t divisor = 1;
  Sharding sharding = Sharding::none;
  std::optional<std::size_t> readers = std::nullopt;  // slot, where some only read it
  bool is_held = true;                                // or only read, or parked
  bool keeps_state = true;                            // of the optimizer
  CollectiveGroup layout = {};
};

// net: the worker's own. buckets: all of the plan, in their common order; those of other classes
// are skipped. class_slots: by holder class of the plan, its place in `classes`.
RankProgram rank_program(const Net& net, const RankFrame& frame, const Training& training,
                         const std::vector<OwnClass>& classes, const std::vector<Bucket>& buckets,
                         const std::vector<std::optional<std::size_t>>& class_slots);

// The same, with where each action's ops begin: one number per action, and where the updates begin.
struct ActionProgram {
  RankProgram program;
  std::vector<OpId> begins;
};
ActionProgram action_program(const Net& net, const RankFrame& frame, const Training& training,
                             const std::vector<OwnClass>& classes,
                             const std::vector<Bucket>& buckets,
                             const std::vector<std::optional<std::size_t>>& class_slots);

}  // namespace rehearse
