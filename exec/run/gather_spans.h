// From every rank's own spans to one timeline.
#pragma once

#include <vector>

#include "exec/transport.h"
#include "model/plan/plan.h"
#include "model/plan/timeline.h"

namespace rehearse::exec {

// On rank 0 everybody's spans, in the order of Timeline; elsewhere none. A message's start is when
// both ends have issued it, a collective's when all members have: known only here.
Timeline gather_spans(const Plan& plan, const std::vector<Span>& own, std::int64_t steps,
                      Transport& transport);

}  // namespace rehearse::exec
