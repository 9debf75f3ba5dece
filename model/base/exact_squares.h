// Sums of squares without rounding: the same bits in every order, however the terms are dealt out.
//
// The square of a number of 24 or 53 bits is a whole multiple of the smallest one's. The sum is
// kept as such a multiple, in digits of 32 bits (a superaccumulator: Kulisch and Miranker, Computer
// Arithmetic in Theory and Practice, 1981). Digits go out as doubles, which hold them exactly:
// added up digit by digit, those of up to 2^20 sums are their sum.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/base/data_type.h"

namespace rehearse {

class ExactSquares {
 public:
  // Of numbers of this type. They may also be infinite or NaN: the sum then is NaN.
  explicit ExactSquares(DataType type);

  // O(1).
  void add(double number);
  std::vector<double> digits();

  // How many there are, the same for every sum of a type.
  static std::int64_t digit_count(DataType type);
  // The sum that such digits stand for, added up over several sums or not: to a few roundings, the
  // same for equal sums.
  static double value(DataType type, std::span<const double> digits);

 private:
  void add_product(std::uint64_t product, int exponent);
  void carry();

  int lowest_;                         // exponent of the first digit's last bit
  std::vector<std::uint64_t> digits_;  // last: how many numbers were not finite
  int uncarried_ = 0;                  // numbers since digits were below 2^32
};

}  // namespace rehearse
