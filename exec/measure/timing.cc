#include "exec/measure/timing.h"

#include <time.h>

#include <algorithm>

#include "model/base/check.h"

namespace rehearse::exec {
namespace {

Seconds quantile(std::vector<Seconds>& durations, std::size_t parts_below, std::size_t parts) {
  REHEARSE_CHECK(!durations.empty(), "no durations");
  const auto at = static_cast<std::ptrdiff_t>((durations.size() - 1) * parts_below / parts);
  std::nth_element(durations.begin(), durations.begin() + at, durations.end());
  return durations[static_cast<std::size_t>(at)];
}

}  // namespace

std::int64_t Stopwatch::now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

Seconds least(const std::vector<Seconds>& durations) {
  REHEARSE_CHECK(!durations.empty(), "no durations");
  return *std::min_element(durations.begin(), durations.end());
}

Seconds lower_quartile(std::vector<Seconds> durations) { return quantile(durations, 1, 4); }
Seconds median(std::vector<Seconds> durations) { return quantile(durations, 1, 2); }

}  // namespace rehearse::exec
