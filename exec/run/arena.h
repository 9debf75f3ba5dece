// The one allocation that holds every tensor of a rank, laid out by the plan.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "exec/kernel_device.h"
#include "model/plan/layout.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

class Arena {
 public:
  // In the device's memory. poison: fill freed buffers with NaNs, so that a use after free shows.
  // Throws where the machine does not give the memory: that ends the job with the reason.
  Arena(const RankProgram& program, KernelDevice& device, bool poison);
  // Goes on with the memory of another, whose persistent buffers are the same (keeps_state()) and
  // stay as they are. The figures below go on, too.
  Arena(const RankProgram& program, bool poison, Arena&& before);

  std::span<std::byte> at(BufferId buffer) const;
  KernelDevice& device() const { return device_; }
  const Layout& layout() const { return layout_; }

  // Bookkeeping of transient buffers as ops begin and end. Poison is put into the selected queue.
  void allocate(BufferId buffer);
  void free(BufferId buffer);

  // Largest end of a buffer that was ever allocated, and largest sum of buffers alive at once.
  Bytes extent_used() const { return extent_; }
  Bytes live_peak() const { return live_peak_; }

 private:
  void touch(std::size_t begin);

  const RankProgram& program_;
  KernelDevice& device_;
  bool poison_;
  Layout layout_;
  std::unique_ptr<DeviceMemory> memory_;
  Bytes extent_, live_, live_peak_;
};

}  // namespace rehearse::exec
