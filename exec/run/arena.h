// The one allocation that holds every tensor of a rank, laid out by the plan.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "model/plan/layout.h"
#include "model/plan/plan.h"

namespace rehearse::exec {

class Arena {
 public:
  // poison: fill freed buffers with NaNs, so that a use after free shows. Throws where the machine
  // does not give the memory: that ends the job with the reason.
  Arena(const RankProgram& program, bool poison);

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
  struct Release {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte[], Release> memory_;
  Bytes extent_, live_, live_peak_;
};

}  // namespace rehearse::exec
