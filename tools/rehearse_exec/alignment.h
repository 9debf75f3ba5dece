// What train --alignment found, for people and for programs.
#pragma once

#include <string>

#include "exec/run/train.h"
#include "model/base/styled_text.h"
#include "model/net/net.h"
#include "model/plan/plan.h"

namespace rehearse::cli {

// A line per time, then a table of the blocks at the last one; empty where there is none.
StyledText print_alignments(const Plan& plan, const Net& net, const exec::TrainingRun& run);

// {scenario, strategy, plan_hash, alignments: [{step, overall, blocks: [{block, ...}]}]}; overall
// and every block have every worker's cosine, every pair's and the aggregate's, null where there is
// none (exec/run/alignment.h).
std::string alignments_json(const std::string& scenario, const Plan& plan, const Net& net,
                            const exec::TrainingRun& run);

}  // namespace rehearse::cli
