// The program of one stage of one worker's network: passes, messages, reductions, updates.
//
// A stage's segments are cut into chunks where a bucket of gradients becomes complete, so that its
// all-reduce can start while backward goes on; every pass of a micro-batch is one op per chunk.
// Receives are posted one slot ahead: while one pass computes, the next one's input may arrive.
#pragma once

#include <vector>

#include "model/plan/plan.h"
#include "model/schedule/buckets.h"
#include "model/schedule/pipeline.h"

namespace rehearse {

struct StageFrame {
  std::string name;
  SegmentId begin, end;
  Subnetwork subnetwork;
  std::optional<std::size_t> previous, next;  // peer slots of the neighbouring stages
  std::vector<Slot> order;
  std::int64_t micro_batches = 1;
  std::int64_t samples = 1;  // of a micro-batch
};

// One holder class as this program sees it.
struct StageClass {
  const HolderClass* holder_class;
  std::optional<std::size_t> group;  // slot
  std::size_t members = 1;           // of the group
  std::int64_t divisor = 1;
};

// net: the worker's own. buckets: all of the plan, in their common order; those of other classes
// are skipped. class_slots: by holder class of the plan, its place in `classes`.
RankProgram stage_program(const Net& net, const StageFrame& frame, const Training& training,
                          const std::vector<StageClass>& classes,
                          const std::vector<Bucket>& buckets,
                          const std::vector<std::optional<std::size_t>>& class_slots);

}  // namespace rehearse
