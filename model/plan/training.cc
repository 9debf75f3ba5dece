#include "model/plan/training.h"

#include <algorithm>

#include "model/base/check.h"
#include "model/base/exact_squares.h"

namespace rehearse {

const std::vector<Reduction>& reductions() {
  static const std::vector<Reduction> all = {Reduction::fast, Reduction::exact};
  return all;
}

std::string_view to_string(Reduction reduction) {
  switch (reduction) {
    case Reduction::fast:
      return "fast";
    case Reduction::exact:
      return "exact";
  }
  REHEARSE_UNREACHABLE("reduction");
}

ElementSizes element_sizes(const Training& training) {
  const std::int64_t bytes = bytes_of(training.dtype);
  return {bytes, std::max<std::int64_t>(bytes, 4), state_sizes(training).gradient};
}

StateSizes state_sizes(const Training& training) {
  const std::int64_t bytes = bytes_of(training.dtype);
  const std::int64_t exact = std::max<std::int64_t>(bytes, 4);
  const std::int64_t master = exact > bytes ? exact : 0;
  const std::int64_t gradient = bytes_of(training.gradients.value_or(training.dtype));
  return {bytes, gradient, moments_of(training.optimizer) * exact + master, exact};
}

std::int64_t outer_state_bytes(const Training& training,
                               const std::optional<OuterOptimizer>& outer) {
  return outer ? arrays_of(*outer) * state_sizes(training).moment : 0;
}

std::int64_t square_numbers(const Training& training) {
  return training.reduction == Reduction::exact ? ExactSquares::digit_count(training.dtype) : 1;
}

}  // namespace rehearse
