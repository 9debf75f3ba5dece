// Memory for benchmarks: aligned as the arena's tensors are, filled with random numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "model/base/random.h"

namespace rehearse::bench {

class Buffer {
 public:
  // n floats, uniform in [low, high).
  Buffer(std::int64_t n, Random& random, float low, float high)
      : data_(new (kAlignment) float[static_cast<std::size_t>(n)]), size_(n) {
    for (float& value : values()) {
      value = low + (high - low) * static_cast<float>(random.uniform());
    }
  }
  float* data() const { return data_.get(); }
  std::span<float> values() const { return {data(), static_cast<std::size_t>(size_)}; }

 private:
  static constexpr std::align_val_t kAlignment{256};
  struct Free {
    void operator()(float* data) const { ::operator delete[](data, kAlignment); }
  };
  std::unique_ptr<float[], Free> data_;
  std::int64_t size_;
};

}  // namespace rehearse::bench
