// Which elements dropout keeps: a pure function of what a launch's random numbers depend on.
//
// The elements of a sample come in groups of 64. Of a group, element 16 j + i has word j of the
// Philox block that counter i of the group's 16 gives, so that vectors of counters give vectors of
// neighbours. The element is kept if its word is not below a bound: the share kept is right to
// 2^-32.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "exec/backend.h"
#include "model/base/philox.h"

namespace rehearse::exec {

inline constexpr std::int64_t kMaskLanes = 16, kMaskWords = 4;
inline constexpr std::int64_t kMaskGroup = kMaskLanes * kMaskWords;

constexpr std::array<std::uint32_t, 2> mask_key(const Draws& draws) {
  return {static_cast<std::uint32_t>(draws.seed), static_cast<std::uint32_t>(draws.seed >> 32)};
}

// Counter 0 of a group of a sample of the micro-batch; the next ones have first words one higher.
// The highest bit keeps masks apart from all streams of Random.
constexpr std::array<std::uint32_t, 4> mask_counter(const Draws& draws, std::int64_t sample,
                                                    std::int64_t group) {
  return {static_cast<std::uint32_t>(group * kMaskLanes),
          static_cast<std::uint32_t>(draws.first_sample + sample),
          static_cast<std::uint32_t>(draws.step), draws.layer.value() | 0x80000000U};
}

// Words below it drop their elements.
inline std::uint32_t mask_bound(const Dropout& dropout) {
  return static_cast<std::uint32_t>(std::llround(dropout.rate * 0x1p32));
}

constexpr bool keeps_element(const Draws& draws, std::uint32_t bound, std::int64_t sample,
                             std::int64_t element) {
  auto counter = mask_counter(draws, sample, element / kMaskGroup);
  counter[0] += static_cast<std::uint32_t>(element % kMaskLanes);
  const auto word = static_cast<std::size_t>(element % kMaskGroup / kMaskLanes);
  return philox_block(counter, mask_key(draws))[word] >= bound;
}

}  // namespace rehearse::exec
