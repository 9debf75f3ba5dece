#include "exec/measure/device_clock.h"

#include <algorithm>
#include <cmath>

namespace rehearse::exec {
namespace {

constexpr Bytes kBallast = Bytes::mib(64);
// Few enough to stand in a queue at once: one that is full makes the host wait.
constexpr std::size_t kTiny = 200;
constexpr std::size_t kBatch = 16;  // runs between two marks, where one kernel is repeated
constexpr int kRounds = 5;
constexpr double kMargin = 1.5;  // of a head start
constexpr Seconds kMostAhead = Seconds::seconds(0.05);

Seconds sum(const std::vector<Seconds>& times) {
  Seconds total;
  for (const Seconds time : times)
    total += time;
  return total;
}

}  // namespace

DeviceClock::DeviceClock(Backend& backend)
    : backend_(backend), device_(backend.device()), is_queued_(!device_.shares_host_memory()) {
  if (!is_queued_) return;
  ballast_.emplace(device_, kBallast);
  const DeviceWork add = [this] { backend_.add(ballast_->data(), ballast_->data(), 1); };
  tiny_.works.assign(kTiny, add);
  DeviceSeries fills{std::vector<DeviceWork>(kRounds, [this] { fill(); })};
  together(fills);  // warms up, as the first round does below
  fill_ = together(fills) * (1.0 / kRounds);
  std::vector<Seconds> with_marks, without;
  for (int round = 0; round <= kRounds; ++round) {
    without.push_back(together(tiny_));
    with_marks.push_back(sum(intervals(tiny_, true)));
  }
  // One mark ends those without, too.
  mark_ = std::max(median(with_marks) - median(without), Seconds{}) * (1.0 / (kTiny - 1));
}

std::vector<Seconds> DeviceClock::each(DeviceSeries& series) {
  return intervals(series, true);
}

std::vector<Seconds> DeviceClock::repeat(Seconds budget, std::size_t least_runs,
                                         const DeviceWork& work) {
  if (!is_queued_) return exec::repeat(budget, least_runs, work);
  DeviceSeries batch{std::vector<DeviceWork>(kBatch, work)};
  together(batch);
  std::vector<Seconds> durations;
  const Stopwatch all;
  while (durations.size() < least_runs || all.elapsed() < budget)
    durations.push_back(together(batch) * (1.0 / kBatch));
  return durations;
}

std::optional<LaunchSample> DeviceClock::launch() {
  if (!is_queued_) return std::nullopt;
  std::vector<Seconds> host, device;
  for (int round = 0; round < kRounds; ++round) {
    device_.finish();
    const Stopwatch watch;
    for (const DeviceWork& work : tiny_.works)
      work();
    host.push_back(watch.elapsed() * (1.0 / kTiny));
    device.push_back(together(tiny_) * (1.0 / kTiny));
  }
  return LaunchSample{median(host), median(device)};
}

Seconds DeviceClock::together(DeviceSeries& series) {
  return intervals(series, false).front();
}

std::vector<Seconds> DeviceClock::intervals(DeviceSeries& series, bool marks_each) {
  const std::size_t count = series.works.size();
  const auto calls = static_cast<double>(marks_each ? 2 * count : count);
  if (is_queued_ && series.queueing) start_ahead(*series.queueing * calls);
  const Stopwatch watch;
  std::vector<Mark> marks = {device_.timed_mark()};
  for (std::size_t w = 0; w < count; ++w) {
    series.works[w]();
    if (marks_each || w + 1 == count) marks.push_back(device_.timed_mark());
  }
  const Seconds each = watch.elapsed() * (1 / calls);
  series.queueing = std::min(each, series.queueing.value_or(each));
  // What is shorter than a mark's cost is uncertain, but it is not nothing.
  constexpr double kLeastShare = 0.1;
  std::vector<Seconds> times = device_.times_between(marks);
  for (Seconds& time : times)
    time = std::max(time - mark_, time * kLeastShare);
  return times;
}

void DeviceClock::fill() {
  device_.fill(ballast_->data(), std::byte{1}, ballast_->bytes().size());
}

void DeviceClock::start_ahead(Seconds needed) {
  if (fill_ <= Seconds{}) return;
  const auto fills = static_cast<int>(std::ceil(std::min(kMargin * needed, kMostAhead) / fill_));
  for (int f = 0; f < fills; ++f)
    fill();
}

}  // namespace rehearse::exec
