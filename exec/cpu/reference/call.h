// What the reference kernels have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "exec/call.h"

namespace rehearse::exec::reference {

// Sum of n products in double, in the order of the elements.
template <class Real>
double dot(const Real* a, const Real* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i)
    sum += double{a[i]} * double{b[i]};
  return sum;
}

// Values are rounded here and nowhere before.
template <class Real>
void store_rounded(const std::vector<double>& values, Real* into) {
  for (const double value : values)
    *into++ = static_cast<Real>(value);
}

}  // namespace rehearse::exec::reference
