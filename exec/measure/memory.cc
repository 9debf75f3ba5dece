#include "exec/measure/memory.h"

#include <algorithm>

#include "model/base/check.h"
#include "model/net/pack.h"

namespace rehearse::exec {

Slab::Slab(KernelDevice& device, Bytes size)
    : memory_(device.allocate(
          static_cast<std::size_t>(std::max(align_up(size, kAlignment), kAlignment).bytes()))) {
  device.fill(memory_->data(), std::byte{0}, memory_->size());
  device.finish();
}

std::byte* RotatingMemory::take(Bytes size) {
  const auto bytes = static_cast<std::size_t>(align_up(size, kAlignment).bytes());
  REHEARSE_CHECK(bytes <= slab_.bytes().size(), "{} of {} bytes", bytes, slab_.bytes().size());
  if (next_ + bytes > slab_.bytes().size()) next_ = 0;
  std::byte* range = slab_.data() + next_;
  next_ += bytes;
  return range;
}

}  // namespace rehearse::exec
