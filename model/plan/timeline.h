// What happened when: made by the simulator and by the executor, in the same form.
#pragma once

#include <optional>
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

// Sorted by (rank, step, op), every op once per step; steps are numbered from 0. All clocks are one
// clock that starts at 0.
struct Timeline {
  std::vector<Span> spans;
  std::int64_t steps = 0;
  // When the step before the first one had ended, where there was one, with another plan.
  std::optional<Time> begin = std::nullopt;
};

// The step whose length is the median (of an even number of steps the shorter middle one), from the
// end of the one before it to its own; steps before warm_up are left out, and the first where
// nobody knows when it began (Timeline::begin). One or more must remain.
struct StepWindow {
  std::int64_t step = 0;
  Time begin, end;
};
StepWindow median_step(const Timeline& timeline, std::int64_t warm_up);

// What a rank's time went into; the three add up to the step time exactly.
struct RankTime {
  Seconds compute, exposed_communication, idle;
};

struct Breakdown {
  Seconds step_time;           // median difference of successive step ends, after warm-up
  std::vector<Seconds> steps;  // each one's, after warm-up
  double bubble_fraction = 0;  // of the rank with the longest compute span; optimizer excluded
  std::vector<RankTime> ranks;
  // How long ops of a kind are under way (start to end) on a rank in the step of median length,
  // averaged over ranks: those of computing add up to the ranks' mean compute.
  struct KindTime {
    OpKind kind;
    Seconds busy;
    std::int64_t ops = 0;  // of one step, on all ranks
  };
  std::vector<KindTime> kinds;
};

// A step ends when its last rank has ended it. The step of median length stands for all where
// shares of a step's time are given: a gap on its compute lane is exposed communication while a
// message or collective of this rank is under way that every participant has issued, and idle
// otherwise.
Breakdown break_down(const Plan& plan, const Timeline& timeline, std::int64_t warm_up);

// The Chrome/Perfetto trace (JSON): one process per rank, one thread per lane; several timelines
// stand side by side.
struct NamedTimeline {
  std::string name;
  const Timeline* timeline;
};
std::string chrome_trace(const Plan& plan, const std::vector<NamedTimeline>& timelines);

}  // namespace rehearse
