#include "exec/measure/timing.h"

#include <time.h>

#include <algorithm>

#include "model/base/check.h"

namespace rehearse::exec {

std::int64_t Stopwatch::now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

Seconds host_time() {
  static const Stopwatch since_start;
  return since_start.elapsed();
}

Seconds least(const std::vector<Seconds>& durations) {
  REHEARSE_CHECK(!durations.empty(), "no durations");
  return *std::min_element(durations.begin(), durations.end());
}

Seconds median(std::vector<Seconds> durations) {
  REHEARSE_CHECK(!durations.empty(), "no durations");
  const auto middle = durations.begin() + static_cast<std::ptrdiff_t>((durations.size() - 1) / 2);
  std::nth_element(durations.begin(), middle, durations.end());
  return *middle;
}

Seconds quiet_median(const std::vector<Seconds>& durations) {
  constexpr std::size_t kMostParts = 4, kFewestInPart = 3;
  const std::size_t parts =
      std::clamp<std::size_t>(durations.size() / kFewestInPart, 1, kMostParts);
  Seconds quietest = median(durations);
  for (std::size_t part = 0; part < parts; ++part) {
    const auto at = [&](std::size_t p) {
      return durations.begin() + static_cast<std::ptrdiff_t>(p * durations.size() / parts);
    };
    quietest = std::min(quietest, median({at(part), at(part + 1)}));
  }
  return quietest;
}

std::vector<Seconds> some_of(const std::vector<Seconds>& durations) {
  constexpr std::size_t kMost = 100;
  if (durations.size() <= kMost) return durations;
  std::vector<Seconds> some;
  for (std::size_t i = 0; i < kMost; ++i)
    some.push_back(durations[i * durations.size() / kMost]);
  return some;
}

}  // namespace rehearse::exec
