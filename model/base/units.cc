#include "model/base/units.h"

#include <cmath>

#include "model/base/check.h"

namespace rehearse {

Time Time::from(Seconds duration) {
  const double picoseconds = std::ceil(duration.seconds() * 1e12);
  // 2^63 ps is 106 days; the negated comparison also refuses NaN.
  REHEARSE_CHECK(picoseconds >= 0 && picoseconds < 9.2e18, "{} s is no simulated duration",
                 duration.seconds());
  return Time::picoseconds(static_cast<std::int64_t>(picoseconds));
}

}  // namespace rehearse
