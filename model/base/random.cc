#include "model/base/random.h"

#include <cmath>
#include <numbers>

#include "model/base/check.h"
#include "model/base/philox.h"

namespace rehearse {
namespace {

constexpr std::uint32_t low(std::uint64_t x) {
  return static_cast<std::uint32_t>(x);
}
constexpr std::uint32_t high(std::uint64_t x) {
  return static_cast<std::uint32_t>(x >> 32);
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  return philox_block(counter, key);
}

Random::Random(std::uint64_t seed, std::uint64_t stream)
    : key_{low(seed), high(seed)}, counter_{0, 0, low(stream), high(stream)} {}

std::uint32_t Random::bits() {
  if (used_ == 4) {
    block_ = philox(counter_, key_);
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[used_++];
}

double Random::uniform() {
  const std::uint64_t a = bits() >> 5;  // 27 bits
  const std::uint64_t b = bits() >> 6;  // 26 bits
  return static_cast<double>((a << 26) | b) * 0x1p-53;
}

std::uint64_t Random::below(std::uint64_t n) {
  REHEARSE_CHECK(n >= 1, "an empty range has no random element");
  // Refuse the first 2^64 mod n values, so that the rest divides evenly.
  const std::uint64_t refused = (0 - n) % n;
  while (true) {
    const std::uint64_t word = (std::uint64_t{bits()} << 32) | bits();
    if (word >= refused) return word % n;
  }
}

double Random::normal() {
  const double radius = std::sqrt(-2 * std::log1p(-uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

}  // namespace rehearse
