// Clocks and robust statistics.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "model/base/units.h"

namespace rehearse::exec {

class Stopwatch {
 public:
  Stopwatch() : start_ns_(now_ns()) {}
  Seconds elapsed() const {
    return Seconds::seconds(static_cast<double>(now_ns() - start_ns_) * 1e-9);
  }

 private:
  static std::int64_t now_ns();
  std::int64_t start_ns_;
};

using Clock = std::function<Seconds()>;  // since some moment
Seconds host_time();

// When all of a measurement should be over.
class Deadline {
 public:
  Deadline(Clock now, Seconds budget) : now_(std::move(now)), end_(now_() + budget) {}
  bool is_over() const { return now_() >= end_; }

 private:
  Clock now_;
  Seconds end_;
};

// Of a set of durations that is not empty.
Seconds least(const std::vector<Seconds>& durations);
Seconds median(std::vector<Seconds> durations);
// Of durations in the order they were measured: the least of the medians of up to four equal parts.
// Other programs come and go in bursts, and only ever add time; within the quietest part the median
// is what the step time's definition asks for, while the least duration may be a run that was
// lucky.
Seconds quiet_median(const std::vector<Seconds>& durations);

// At most a hundred of them, from the first to the last.
std::vector<Seconds> some_of(const std::vector<Seconds>& durations);

// Runs work until the time is up, but so many times at least; the first run only warms up. Returns
// the durations of the others.
template <class Work>
std::vector<Seconds> repeat(Seconds budget, std::size_t least_runs, Work work) {
  work();
  std::vector<Seconds> durations;
  const Stopwatch all;
  while (durations.size() < least_runs || all.elapsed() < budget) {
    const Stopwatch one;
    work();
    durations.push_back(one.elapsed());
  }
  return durations;
}

}  // namespace rehearse::exec
