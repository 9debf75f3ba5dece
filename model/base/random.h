// Seeded random numbers that are the same everywhere.
//
// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11)
// is counter-based: number i of stream (seed, stream) can be had without the numbers before it, so
// initial weights and data order depend neither on the number of ranks nor on who draws first. The
// distributions are ours, since those of the standard library differ between implementations.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>

namespace rehearse {

// The ten-round Philox bijection of one 128-bit counter under a 64-bit key.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

// A sequence of draws; two streams of one seed are independent.
class Random {
 public:
  // seed: the user's; stream: what the numbers are for (a parameter's index, an epoch, ...).
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0);

  std::uint32_t bits();
  // Uniform in [0, 1), 53 bits.
  double uniform();
  // Uniform in {0, ..., n - 1}, unbiased; n >= 1.
  std::uint64_t below(std::uint64_t n);
  // Standard normal (Box-Muller).
  double normal();

  // Fisher-Yates; every order equally likely.
  template <class T>
  void shuffle(std::span<T> items) {
    for (std::size_t i = items.size(); i > 1; --i) {
      std::swap(items[i - 1], items[static_cast<std::size_t>(below(i))]);
    }
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  unsigned used_ = 4;
};

}  // namespace rehearse
