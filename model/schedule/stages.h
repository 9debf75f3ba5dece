// Cutting a chain of blocks into pipeline stages.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/base/units.h"
#include "model/net/net.h"
#include "model/plan/plan.h"

namespace rehearse {

// What blocks take of a rank's memory: their state, and one micro-batch's activations.
struct BlockMemory {
  std::vector<Bytes> state;        // by block: weights, gradients, optimizer state
  std::vector<Bytes> activations;  // by block: what backward needs of forward
};

// What ranks have room for: the state of their stages' blocks, and the activations of so many
// micro-batches.
struct StageLimit {
  BlockMemory memory;
  std::vector<std::int64_t> live;  // by stage: micro-batches kept at once
  std::vector<std::size_t> rank;   // by stage: the one it stands on
  std::vector<Bytes> room;         // by rank
};
// Of a stage that has blocks [begin, end).
Bytes memory_of_stage(const StageLimit& limit, std::size_t stage, std::size_t begin,
                      std::size_t end);

// First block of every stage, and one past the last block: stages + 1 numbers.
using StageCut = std::vector<std::size_t>;

// Every stage has a block or more; the largest sum of costs is as small as can be among the cuts
// that fit, and among such cuts the sum of their squares, so that no stage idles more than it must.
// Exact, O(blocks^2 stages) at most, where every rank has one stage: none if no cut fits. Where
// ranks have several, cuts are moved from the best of all until they fit: none if that does not
// come about. Needs 1 <= stages <= costs.size().
std::optional<StageCut> cut_stages(const std::vector<double>& costs, std::int64_t stages,
                                   const std::optional<StageLimit>& limit = {});

// As many layers on every stage: the longest run of blocks that are alike, with what stands before
// them on the first stage and what follows on the last. None: the stages do not divide them.
std::optional<StageCut> cut_layers(const Net& net, std::int64_t stages);

// By block: all its passes together.
std::vector<double> total_of(const StageCosts& costs);
// Where the stages of a plan begin. net: whole_net(plan).
StageCut cut_of(const Plan& plan, const Net& net);

}  // namespace rehearse
