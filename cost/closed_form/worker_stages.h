// Stages of workers' networks: the programs of those that run the same blocks one after the other
// and have gradients complete in the same places are made once, and read once for each size of
// micro-batch.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "cost/closed_form/stage_passes.h"
#include "cost/closed_form/worker_nets.h"
#include "cost/closed_form/worker_parts.h"

namespace rehearse {

// The passes of a stage, and where its gradients are complete, in the order of the segments.
struct WorkerPasses {
  explicit WorkerPasses(const StageReading& reading) : figures(reading) {}
  StageFigures figures;
  StagePasses passes;
  std::vector<StageFigures::Completion> complete;
  std::array<std::int64_t, kStageActions> bytes{};  // bytes_by_state()
};

class WorkerStages {
 public:
  // All must outlive it. tensor: ranks; overlaps: TensorSpec::overlap.
  WorkerStages(UnitNet& whole, std::int64_t tensor, bool overlaps, const Training& training,
               const Device& device)
      : whole_(whole),
        tensor_(tensor),
        overlaps_(overlaps),
        training_(training),
        device_(device),
        parts_(whole, training, device) {}

  // The number of blocks [begin, end) of a worker's network. complete: ascending, segments with
  // parameters that it holds, from each of which to the next gradients are reduced together.
  std::size_t number(const Worker& worker, std::size_t begin, std::size_t end,
                     const std::vector<SegmentId>& complete, Recomputation recomputation,
                     bool splits_backward);
  // Of micro-batches of so many samples, among these tensor-parallel ranks.
  const WorkerPasses& passes(std::size_t number, std::int64_t samples, const RingGroup& tensor);

 private:
  // Equal blocks, one after the other, as a rank with these neighbours runs them.
  struct Kind {
    std::shared_ptr<const Net> net;
    StageProgram program;
    std::size_t completions = 0;
  };

  UnitNet& whole_;
  const std::int64_t tensor_;
  const bool overlaps_;
  const Training& training_;
  const Device& device_;
  WorkerParts parts_;
  std::deque<Kind> kinds_;
  std::map<std::vector<std::size_t>, std::size_t> known_;
  std::vector<RingGroup> rings_;  // of tensor-parallel ranks, that differ
  std::map<std::tuple<std::size_t, std::int64_t, std::size_t>, std::unique_ptr<WorkerPasses>>
      passes_;
};

}  // namespace rehearse
