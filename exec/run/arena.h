// The one allocation that holds every tensor of a rank, laid out by the plan.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "model/plan/layout.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

class Arena {
 public:
  // poison: fill freed buffers with NaNs, so that a use after free shows. Throws where the machine
  // does not give the memory: that ends the job with the reason.
  Arena(const RankProgram& program, bool poison);
  // Goes on with the memory of another, whose persistent buffers are the same (keeps_state()) and
  // stay as they are. The figures below go on, too.
  Arena(const RankProgram& program, bool poison, Arena&& before);

  std::span<std::byte> at(BufferId buffer) const;
  const Layout& layout() const { return layout_; }

  // Bookkeeping of transient buffers as ops begin and end.
  void allocate(BufferId buffer);
  void free(BufferId buffer);

  // Largest end of a buffer that was ever allocated, and largest sum of buffers alive at once.
  Bytes extent_used() const { return extent_; }
  Bytes live_peak() const { return live_peak_; }

 private:
  const RankProgram& program_;
  bool poison_;
  Layout layout_;
  // Pages, which can be added to without a copy.
  class Memory {
   public:
    Memory() = default;
    Memory(Memory&& other) noexcept { swap(other); }
    Memory& operator=(Memory&& other) noexcept {
      swap(other);
      return *this;
    }
    ~Memory();
    void grow(std::size_t size);
    std::byte* data() const { return data_; }
    std::size_t size() const { return size_; }

   private:
    void swap(Memory& other) noexcept {
      std::swap(data_, other.data_);
      std::swap(size_, other.size_);
    }
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
  };

  void touch(std::size_t begin);

  Memory memory_;
  Bytes extent_, live_, live_peak_;
};

}  // namespace rehearse::exec
