// Automatic placement of split backwards, by a list scheduler that tries several policies.
#pragma once

#include <vector>

#include "model/schedule/pipeline.h"

namespace rehearse::pipelines {

// By rank: the best order found for these costs within request.live_limit, which must be at least
// one activation. kept_after_input in [0, 1] is the share of an activation that stays after its
// input gradients until its weight gradients: 1 counts it whole, as PipelineRequest defines it and
// as the table's row does; Qi et al. count 32 / (34 + 5 a s / h), since attention's part is free by
// then (arXiv 2401.10241, table 1). O(policies x p m log p).
std::vector<std::vector<Slot>> place_by_time(const PipelineRequest& request,
                                             double kept_after_input);

}  // namespace rehearse::pipelines
