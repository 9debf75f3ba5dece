// The Chrome/Perfetto trace (timeline.h) with counters beside the ranks' lanes.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/plan/timeline.h"

namespace rehearse {

// A figure over time: what it is from each moment to the next.
struct TraceCounter {
  std::optional<RankId> rank;  // of the first timeline; none: of the machine, a process of its own
  std::string name, unit;
  std::vector<std::pair<Time, double>> values;
};

// Messages are flows from the op that sends to the one that receives.
std::string chrome_trace(const Plan& plan, const std::vector<NamedTimeline>& timelines,
                         const std::vector<TraceCounter>& counters);

// By rank: "bytes alive", the sum of the buffers in its arena, and "memory", how far the arena is
// used, and what the rank has beside it: its largest value is the rank's peak. beside: by rank;
// empty: nothing. The programs' allocations must be valid (verify()).
std::vector<TraceCounter> memory_counters(const Plan& plan, const Timeline& timeline,
                                          const std::vector<Bytes>& beside);

}  // namespace rehearse
