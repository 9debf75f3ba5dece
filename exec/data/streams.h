// Streams of random numbers that the data use, apart from one another and from those of a network's
// initial weights, which are numbered by parameter from 0.
#pragma once

#include <cstdint>

namespace rehearse::exec {

enum class Draw : std::uint64_t { epoch_order = 1, prototype, sample, successors, augmentation };

constexpr std::uint64_t stream_of(Draw draw, std::uint64_t number) {
  return static_cast<std::uint64_t>(draw) << 56 | number;
}

}  // namespace rehearse::exec
