#include "model/base/human_number.h"

#include <fmt/format.h>

#include <cmath>

#include "model/base/text.h"

namespace rehearse {

std::string human_number(double x) {
  // From here on doubles are not all the whole numbers.
  constexpr double kMostWhole = 1e15;
  const double magnitude = std::fabs(x);
  if (magnitude < kMostWhole && (x == std::round(x) || magnitude >= 999.95))
    return human_count(std::llround(x));
  return fmt::format("{:.4g}", x);
}

}  // namespace rehearse
