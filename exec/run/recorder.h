// Runs the kernels of passes: each for itself, or recorded and replayed.
//
// As long as one plan is trained a kernel has the same operands at the same addresses in every
// step, with the same numbers, unless it draws: what is drawn depends on the step. So the kernels
// of a pass are cut at those that draw, and the stretches between are the same in every step. A
// stretch runs as it is the first time, when its kernels take what scratch memory they need; it is
// recorded the second time, and replayed from then on: recorded anew when such memory has moved.
//
// Nothing else is recorded: batches come from the host, messages go through it, an update's
// numbers are its step's, and what the host reads it waits for.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "exec/kernel_device.h"
#include "exec/run/compute.h"

namespace rehearse::exec {

class Recorder {
 public:
  // Both must outlive it. records: or every kernel runs for itself; the device can, then.
  Recorder(const ComputeProgram& compute, KernelDevice& device, bool records);
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  ~Recorder();

  // Into the selected queue, which is the same for an op in every step: its kernels from `first`
  // on, one or the stretch that begins there. Returns how many have run then.
  std::size_t run(OpId op, std::size_t first);

 private:
  struct Stretch {
    std::size_t end = 0;
    bool has_run = false;
    std::optional<Recording> recording = {};
  };
  Stretch stretch_from(OpId op, std::size_t first) const;
  void record(Stretch& stretch, OpId op, std::size_t first);

  const ComputeProgram& compute_;
  KernelDevice& device_;
  bool records_;
  std::map<std::pair<OpId, std::size_t>, Stretch> stretches_;
};

}  // namespace rehearse::exec
