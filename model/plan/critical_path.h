// Which ops a step's length is made of: a chain from its end back to its beginning, each of which
// began when the one before it had ended.
#pragma once

#include <optional>
#include <vector>

#include "model/plan/plan.h"
#include "model/plan/timeline.h"

namespace rehearse {

// From `begin` to `end` the step's end waited for this op; without one, for nothing that the plan
// knows of: a measured rank that was elsewhere.
struct PathPart {
  RankId rank;
  std::optional<OpId> op;
  Time begin, end;
};

// Of the step of median length after warm-up, as break_down() chooses it; parts follow one another
// without a gap and add up to the step time. An op waits for those that stand in its `after`, for
// the one before it on its lane, and for its partners: a message or collective starts when the last
// of them has issued it, and the path goes on there. Where several would do, the one with the
// largest end; of these the first on its lane. O(spans log spans).
std::vector<PathPart> critical_path(const Plan& plan, const Timeline& timeline,
                                    std::int64_t warm_up);

}  // namespace rehearse
