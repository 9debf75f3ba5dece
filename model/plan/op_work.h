// FLOPs and memory traffic of the ops that no network is lowered for, as cost prices them and exec
// measures them. Forward and backward ops: model/net/lowering.h.
#pragma once

#include "model/net/lowering.h"
#include "model/plan/plan.h"

namespace rehearse {

// load_batch: every byte is read from the data set and written to the op's buffers.
StepWork load_work(const RankProgram& program, const Op& op);

// accumulate: reads two sums and writes one of them.
StepWork accumulate_work(const Training& training, const Op& op);

// clear: writes them.
StepWork clear_work(const Training& training, const Op& op);

// Elements that a sum_squares works on, at most: of each class all, a shard or a share. And reading
// them, two operations each.
std::int64_t elements_squared(const Plan& plan, const RankProgram& program);
StepWork squares_work(const Training& training, std::int64_t elements);

// Elements that an optimizer_step, outer_gradient or outer_step works on: of the class, or of this
// rank's shard of it.
std::int64_t elements_updated(const RankProgram& program, const Op& op);

// optimizer_step on so many parameters: reads weights, gradients and state, writes weights and
// state; two operations per parameter for each of the momentum, the decay and the update. With fp16,
// whose loss is scaled (Micikevicius et al., arXiv 1710.03740, section 3.2), gradients are first
// divided by the scale, in fp32; there and where they are summed in another type than the weights',
// as Megatron-LM does, clipping is a pass of its own, and sums are cleared for the next step.
StepWork optimizer_work(const Training& training, std::int64_t elements);

// outer_gradient on so many: reads the weights (or their master copy) and the anchor, writes the
// gradients. outer_step: reads these and what the outer optimizer keeps, writes that, the weights
// and their master copy. Without an outer optimizer both are copies.
StepWork outer_gradient_work(const Training& training, const std::optional<OuterOptimizer>& outer,
                             std::int64_t elements);
StepWork outer_step_work(const Training& training, const std::optional<OuterOptimizer>& outer,
                         std::int64_t elements);

}  // namespace rehearse
