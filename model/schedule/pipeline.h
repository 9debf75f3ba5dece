// Pipeline schedules: in which order each stage runs its forward and backward passes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/base/ids.h"
#include "model/net/lowering.h"

namespace rehearse {

struct Slot {
  Pass pass;
  MicroBatchId micro_batch;
  friend bool operator==(const Slot&, const Slot&) = default;
};

struct PipelineSchedule {
  std::string_view name, help;
  // The passes of one stage in the order it issues them.
  std::vector<Slot> (*order)(std::int64_t stage, std::int64_t stages, std::int64_t micro_batches);
};

// All schedules, sorted by name.
const std::vector<PipelineSchedule>& pipeline_schedules();
const PipelineSchedule* find_pipeline_schedule(std::string_view name);

// All forwards, then all backwards, both in the order of the micro-batches, in which gradients are
// then added as gradient accumulation adds them (Huang et al., GPipe, NeurIPS
// 2019, section 2.3). Keeps the activations of every micro-batch.
std::vector<Slot> gpipe_order(std::int64_t stage, std::int64_t stages, std::int64_t micro_batches);

// One forward, one backward: stage s runs min(p - s, m) forwards before its first backward and then
// alternates, so that it keeps the activations of at most p - s micro-batches (Narayanan et al.,
// PipeDream-Flush, ICML 2021, section 2.2).
std::vector<Slot> one_forward_one_backward_order(std::int64_t stage, std::int64_t stages,
                                                 std::int64_t micro_batches);

}  // namespace rehearse
