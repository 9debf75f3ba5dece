// Seconds and memory traffic of every compute op of a plan on a device.
#pragma once

#include "model/cluster/cluster.h"
#include "model/cluster/device.h"
#include "model/net/lowering.h"
#include "model/net/net.h"
#include "model/plan/plan.h"
#include "model/plan/prices.h"

namespace rehearse {

// Forward and backward ops cost the sum of the kernels they are lowered to, on the network of their
// program, but no less than it takes the host to queue them: within an op the host may run ahead of
// the device, and what counts is who needs longer for all of it; the others what
// model/plan/op_work.h says. full: the network of plan.model. Equal ranges of equal networks are
// lowered once, so that a plan of 10^6 ops is priced in about a second.
Prices make_prices(const Plan& plan, const Net& full, const Device& device);
// Of ranks whose devices differ.
Prices make_prices(const Plan& plan, const Net& full, const Cluster& cluster);

// The price of the kernels of segments [begin, end).
OpPrice price_pass(const Net& net, SegmentId begin, SegmentId end, Pass pass, std::int64_t samples,
                   const ElementSizes& sizes, const Device& device);
// The same of what they are lowered to.
OpPrice price_pass(const Net& net, const Lowering& lowered, std::int64_t samples,
                   const ElementSizes& sizes, const Device& device);
OpPrice price_work(const StepWork& work, const Device& device);

}  // namespace rehearse
