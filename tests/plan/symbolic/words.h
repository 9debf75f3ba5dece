// What stands for numbers in a symbolic play: the hash of the term that a buffer would hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rehearse::testing::symbolic {

using Word = std::uint64_t;
constexpr Word kUnwritten = 0, kZero = 1;

enum Term : Word {
  term_init,
  term_data,
  term_out,
  term_slab,
  term_gradient,
  term_weight_gradient,
  term_mean,
  term_sgd,
  term_momentum,
  term_square,
  term_outer_gradient,
  term_outer,
  term_outer_momentum,
  term_rows,
  term_row_sum,
  term_share
};

// Never kUnwritten or kZero.
Word hash(const std::vector<Word>& words);

inline std::size_t index(std::int64_t element) {
  return static_cast<std::size_t>(element);
}

}  // namespace rehearse::testing::symbolic
