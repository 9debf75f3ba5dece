// Exact fractions: a coverage of 0.5 is 1/2, and 2/3 stays 2/3; never a floating-point product.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rehearse {

struct Fraction {  // in lowest terms
  std::int64_t numerator = 1, denominator = 1;
  double value() const { return static_cast<double>(numerator) / static_cast<double>(denominator); }
  friend bool operator==(const Fraction&, const Fraction&) = default;
};
// As short as it is exact: "1", "0.375", "2/3".
std::string to_string(const Fraction& fraction);
// In lowest terms; both above 0.
Fraction fraction_of(std::int64_t numerator, std::int64_t denominator);
// The least integer that is no less than this share of n.
std::int64_t ceiling_of(const Fraction& fraction, std::int64_t n);
Fraction operator+(const Fraction& a, const Fraction& b);

// An exact decimal ("0.25") or a fraction ("2/3") in (0, 1].
std::optional<Fraction> parse_fraction(std::string_view text);

}  // namespace rehearse
