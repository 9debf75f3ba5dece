#include "model/base/exact_squares.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "model/base/check.h"

namespace rehearse {
namespace {

constexpr std::uint64_t kDigit = 0xffffffff;
// Each adds less than 2^35 to a digit.
constexpr int kMostUncarried = 1 << 28;

// Every square is below 2^highest and a multiple of 2^lowest.
struct Exponents {
  int lowest, highest;
};

// fp16 and bf16 are numbers of fp32, too.
Exponents exponents_of(DataType type) {
  return type == DataType::fp64 ? Exponents{-2 * 1074, 2 * 1024} : Exponents{-2 * 149, 2 * 128};
}

}  // namespace

// Sums of 2^32 numbers, and room for the digits that a product spans.
std::int64_t ExactSquares::digit_count(DataType type) {
  const auto [lowest, highest] = exponents_of(type);
  return (highest - lowest + 32) / 32 + 2 + 1;
}

ExactSquares::ExactSquares(DataType type)
    : lowest_(exponents_of(type).lowest), digits_(static_cast<std::size_t>(digit_count(type)), 0) {}

void ExactSquares::add(double number) {
  if (number == 0) return;
  if (!std::isfinite(number)) {
    ++digits_.back();
    return;
  }
  const auto bits = std::bit_cast<std::uint64_t>(number);
  const auto biased = static_cast<int>(bits >> 52 & 0x7ff);
  std::uint64_t whole = bits & ((std::uint64_t{1} << 52) - 1);
  if (biased > 0) whole |= std::uint64_t{1} << 52;
  const int zeros = std::countr_zero(whole);
  whole >>= zeros;
  const int exponent = 2 * (std::max(biased, 1) - 1075 + zeros);
  if (whole <= kDigit) {
    add_product(whole * whole, exponent);
  } else {
    const std::uint64_t high = whole >> 27, low = whole & ((std::uint64_t{1} << 27) - 1);
    add_product(high * high, exponent + 54);
    add_product(2 * high * low, exponent + 27);
    add_product(low * low, exponent);
  }
  if (++uncarried_ == kMostUncarried) carry();
}

void ExactSquares::add_product(std::uint64_t product, int exponent) {
  REHEARSE_CHECK(exponent >= lowest_, "2^{} is below the type's least square", exponent);
  const auto place = static_cast<unsigned>(exponent - lowest_);
  const std::uint64_t low = (product & kDigit) << place % 32, high = product >> 32 << place % 32;
  std::uint64_t* digit = &digits_.at(place / 32);
  digit[0] += low & kDigit;
  digit[1] += (low >> 32) + (high & kDigit);
  digit[2] += high >> 32;
}

void ExactSquares::carry() {
  for (std::size_t d = 0; d + 2 < digits_.size(); ++d) {
    digits_[d + 1] += digits_[d] >> 32;
    digits_[d] &= kDigit;
  }
  uncarried_ = 0;
}

std::vector<double> ExactSquares::digits() {
  carry();
  return {digits_.begin(), digits_.end()};
}

double ExactSquares::value(DataType type, std::span<const double> digits) {
  ExactSquares sum(type);
  REHEARSE_CHECK(digits.size() == sum.digits_.size(), "{} digits", digits.size());
  if (digits.back() != 0) return std::numeric_limits<double>::quiet_NaN();
  sum.digits_.assign(digits.begin(), digits.end());
  sum.carry();
  double value = 0;
  for (std::size_t d = sum.digits_.size() - 1; d-- > 0;) {
    value +=
        std::ldexp(static_cast<double>(sum.digits_[d]), sum.lowest_ + 32 * static_cast<int>(d));
  }
  return value;
}

}  // namespace rehearse
