// Bytes of a rank: what it holds, by pool, and what it sends and receives in a step.
#pragma once

#include <array>
#include <vector>

#include "model/cluster/cluster.h"
#include "model/cluster/device.h"
#include "model/plan/plan.h"

namespace rehearse {

// The tensor arena by what lies in it when most is alive (ops in list order), and what is outside.
struct RankMemory {
  Bytes parameters, gradients;  // with what is gathered, and what is not reduced yet
  Bytes optimizer_state;        // with the outer optimizer's
  Bytes activations;            // values, gradients of values, saved and scratch tensors
  Bytes communication;          // chunks that collectives receive
  Bytes arena_live;             // sum of the above: Layout::live
  Bytes arena;                  // extent of the laid-out arena
  Bytes workspace;              // pool of the libraries
  Bytes context;                // what a process has before any tensor
  Bytes fragmentation;          // what an allocator loses
  Bytes stand_ins;              // of gradients, in Megatron-LM
  Bytes communicators;          // pool of NCCL: one for each rank that messages go to or come from
  Bytes carried;                // state put aside while plans change (model/plan/transition.h)
  Bytes peak() const {
    return arena + workspace + context + fragmentation + stand_ins + communicators + carried;
  }
};
// Without stand-ins and communicators: those are known of a plan, and of its ranks.
RankMemory memory_of(const RankProgram& program, const Device& device);

// Where Megatron-LM's kernels add weight gradients up in another type than the weights', autograd
// gets a stand-in for each, one tensor for every shape of a layer's weights that the rank has, in
// the weights' type, which stays (Transformer Engine, get_dummy_wgrad). Zero elsewhere.
Bytes gradient_stand_ins(const Plan& plan, const RankProgram& program);
// Whether there are any; and of the stages of a network that a rank runs.
bool has_gradient_stand_ins(const ModelSpec& resolved, const Training& training);
Bytes gradient_stand_ins(const Net& net, const std::vector<Stage>& stages,
                         const Training& training);

// Ranks whose devices exchange messages with this one's, ascending.
std::vector<RankId> peers_of(const Plan& plan, RankId rank);

struct PlanMemory {
  std::vector<RankMemory> kinds;     // of the ranks there are
  std::vector<std::uint32_t> ranks;  // by rank, an index of kinds
  Bytes peak;                        // of the worst rank
  // By rank: what its peak leaves of its device; of a CPU cluster, where ranks fill nodes in order,
  // its share of what all of them leave of their node. Negative: what it lacks.
  std::vector<Bytes> spare;
  bool fits = true;  // nobody lacks any
  const RankMemory& of(RankId rank) const { return kinds[ranks[rank.index()]]; }
};
// moves_state: whether another plan follows, which does not keep every rank's state.
PlanMemory memory_of(const Plan& plan, const Device& device, std::int64_t devices_per_node,
                     bool moves_state = false);
// Of ranks whose devices differ.
PlanMemory memory_of(const Plan& plan, const Cluster& cluster, bool moves_state = false);

// Payload bytes of one rank and step, by op kind: what its sends and its collectives' steps hand to
// the network, and what it receives.
struct RankTraffic {
  std::array<Bytes, kOpKindCount> sent{}, received{};
  Bytes total_sent() const;
  Bytes total_received() const;
};
RankTraffic traffic_of(const Plan& plan, RankId rank);

}  // namespace rehearse
