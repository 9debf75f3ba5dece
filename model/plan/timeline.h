// What happened when: made by the simulator and by the executor, in the same form.
#pragma once

#include <string>
#include <vector>

#include "model/base/ids.h"
#include "model/base/units.h"
#include "model/plan/plan.h"

namespace rehearse {

// One op of one step on one rank. An op is issued when its turn on its lane has come and what it
// waits for has ended; it starts when it really begins (its partners are there too) and ends.
struct Span {
  RankId rank;
  OpId op;
  std::int64_t step = 0;
  Time issue, start, end;
};

// Sorted by (rank, step, op). All clocks are one clock that starts at 0.
struct Timeline {
  std::vector<Span> spans;
  std::int64_t steps = 0;
};

// What a rank's time went into; the three add up to the step time.
struct RankTime {
  Seconds compute, exposed_communication, idle;
};

struct Breakdown {
  Seconds step_time;            // median difference of successive step ends, after warm-up
  double bubble_fraction = 0;   // of the rank with the longest compute span; optimizer excluded
  std::vector<RankTime> ranks;  // medians over the same steps
  // Medians over ranks and steps of the sum of one step's spans, by op kind: where time is spent.
  struct KindTime {
    OpKind kind;
    Seconds busy;   // start to end, mean over ranks of the median over steps
    std::int64_t ops = 0;
  };
  std::vector<KindTime> kinds;
};

// Definitions in README, "What the figures mean". warm_up steps are left out; at least one must
// remain. A gap on the compute lane is exposed communication while a transfer of this rank is under
// way that every participant has issued, and idle otherwise.
Breakdown break_down(const Plan& plan, const Timeline& timeline, std::int64_t warm_up);

// The Chrome/Perfetto trace (JSON): one process per rank, one thread per lane.
struct NamedTimeline {
  std::string name;
  const Timeline* timeline;
};
std::string chrome_trace(const Plan& plan, const std::vector<NamedTimeline>& timelines);

}  // namespace rehearse
