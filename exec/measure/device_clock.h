// How long a device takes for what stands in its queue.
//
// Calls return when work is queued, so the host's clock would tell how fast the host queues.
// Instead marks in the queue tell the device's time, and it never waits for the host: before what
// is timed it gets as much other work to do (a head start) as the host will need to queue that.
// Finishing the queue after many runs of one kernel would do without marks, but not for the kernels
// of a step in the step's order, each of which finds in the caches what its predecessors left. What
// a mark takes itself is measured between kernels that do next to nothing, and taken off.
//
// The host as a device has no queue: its marks are its clock, and neither is needed.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "exec/backend.h"
#include "exec/measure/memory.h"
#include "exec/measure/timing.h"
#include "model/cluster/samples.h"

namespace rehearse::exec {

using DeviceWork = std::function<void()>;  // queues it

// What is queued in one go, again and again.
struct DeviceSeries {
  std::vector<DeviceWork> works;
  // The host's time for one call, the least seen: the first call of a kernel also loads it, and a
  // queue that is full makes calls as long as kernels.
  std::optional<Seconds> queueing = std::nullopt;
};

class DeviceClock {
 public:
  // On the backend's device, which does nothing else; through the queue that is selected.
  explicit DeviceClock(Backend& backend);

  // Of each of these, run in this order.
  std::vector<Seconds> each(DeviceSeries& series);
  // Of one run of this: once it has warmed up, so many times at least and until the time is up.
  std::vector<Seconds> repeat(Seconds budget, std::size_t least_runs, const DeviceWork& work);
  // Of a kernel with next to nothing to do; none where kernels are not queued.
  std::optional<LaunchSample> launch();

 private:
  // Of all of these together.
  Seconds together(DeviceSeries& series);
  std::vector<Seconds> intervals(DeviceSeries& series, bool marks_each);
  void fill();
  // Keeps the device busy for so long.
  void start_ahead(Seconds needed);

  Backend& backend_;
  KernelDevice& device_;
  const bool is_queued_;
  std::optional<Slab> ballast_;  // whose filling is the head start
  Seconds fill_, mark_;          // of the device's time
  DeviceSeries tiny_;            // kernels that do next to nothing
};

}  // namespace rehearse::exec
