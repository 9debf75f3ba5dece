// Memory to measure with.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>

#include "model/base/units.h"

namespace rehearse::exec {

// Aligned as the executor's arena is, and touched, so that no page is new when it is measured.
class Slab {
 public:
  explicit Slab(Bytes size);
  std::byte* data() const { return memory_.get(); }
  std::span<std::byte> bytes() const { return {memory_.get(), size_}; }

 private:
  struct Release {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte[], Release> memory_;
  std::size_t size_;
};

// Hands out ranges of one slab in turn: by the time a range comes again, it has left the caches.
class RotatingMemory {
 public:
  explicit RotatingMemory(Bytes size) : slab_(size) {}
  std::byte* take(Bytes size);

 private:
  Slab slab_;
  std::size_t next_ = 0;
};

}  // namespace rehearse::exec
