#include "model/schedule/fraction.h"

#include <fmt/format.h>

#include <numeric>

#include "model/base/text.h"

namespace rehearse {
namespace {

constexpr std::size_t kLongestDecimal = 9;  // times the workers still fits int64

std::optional<Fraction> in_unit_interval(std::int64_t numerator, std::int64_t denominator) {
  if (numerator < 1 || denominator < 1 || numerator > denominator) return std::nullopt;
  return fraction_of(numerator, denominator);
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<Fraction> parse_decimal(std::string_view text) {
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view digits =
      point == std::string_view::npos ? std::string_view{} : text.substr(point + 1);
  if (whole != "0" && whole != "1") return std::nullopt;
  if (point != std::string_view::npos && !is_digits(digits)) return std::nullopt;
  if (digits.size() > kLongestDecimal) return std::nullopt;
  std::int64_t numerator = whole == "1" ? 1 : 0;
  std::int64_t denominator = 1;
  for (const char digit : digits) {
    numerator = numerator * 10 + (digit - '0');
    denominator *= 10;
  }
  return in_unit_interval(numerator, denominator);
}

}  // namespace

Fraction fraction_of(std::int64_t numerator, std::int64_t denominator) {
  const std::int64_t common = std::gcd(numerator, denominator);
  return {numerator / common, denominator / common};
}

std::string to_string(const Fraction& fraction) {
  constexpr std::int64_t kDecimals = 10'000;
  if (kDecimals % fraction.denominator == 0) return fmt::format("{:g}", fraction.value());
  return fmt::format("{}/{}", fraction.numerator, fraction.denominator);
}

std::int64_t ceiling_of(const Fraction& fraction, std::int64_t n) {
  return (fraction.numerator * n + fraction.denominator - 1) / fraction.denominator;
}

Fraction operator+(const Fraction& a, const Fraction& b) {
  const std::int64_t denominator = std::lcm(a.denominator, b.denominator);
  const std::int64_t numerator =
      denominator / a.denominator * a.numerator + denominator / b.denominator * b.numerator;
  return fraction_of(numerator, denominator);
}

std::optional<Fraction> parse_fraction(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return parse_decimal(text);
  const auto numerator = parse_integer(text.substr(0, slash));
  const auto denominator = parse_integer(text.substr(slash + 1));
  if (!numerator || !denominator) return std::nullopt;
  return in_unit_interval(*numerator, *denominator);
}

}  // namespace rehearse
