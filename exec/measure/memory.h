// Memory to measure with.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "exec/kernel_device.h"

namespace rehearse::exec {

// Of a device, aligned as the executor's arena is, and written once, so that no page is new when it
// is measured.
class Slab {
 public:
  Slab(KernelDevice& device, Bytes size);
  std::byte* data() const { return memory_->data(); }
  std::span<std::byte> bytes() const { return {memory_->data(), memory_->size()}; }

 private:
  std::unique_ptr<DeviceMemory> memory_;
};

// Hands out ranges of one slab in turn: by the time a range comes again, it has left the caches.
class RotatingMemory {
 public:
  RotatingMemory(KernelDevice& device, Bytes size) : slab_(device, size) {}
  std::byte* take(Bytes size);

 private:
  Slab slab_;
  std::size_t next_ = 0;
};

}  // namespace rehearse::exec
