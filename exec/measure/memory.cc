#include "exec/measure/memory.h"

#include <algorithm>
#include <cstring>

#include "model/base/check.h"
#include "model/net/pack.h"

namespace rehearse::exec {

Slab::Slab(Bytes size)
    : size_(static_cast<std::size_t>(std::max(align_up(size, kAlignment), kAlignment).bytes())) {
  const auto alignment = static_cast<std::size_t>(kAlignment.bytes());
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, size_)));
  REHEARSE_CHECK(memory_ != nullptr, "no memory for {} bytes", size_);
  std::memset(memory_.get(), 0, size_);
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
