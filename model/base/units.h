// Strong units: no naked number crosses a function or a file.
//
// Construction names the unit (Bytes::mib(8)), reading out names it again (x.bytes()), and nothing
// converts implicitly. GB = 10^9, GiB = 2^30; b is a bit, B a byte. Cross-unit operators are listed
// one by one, so that a combination without a physical meaning does not compile.
#pragma once

#include <compare>
#include <cstdint>

namespace rehearse {

// What every unit can do with itself: add, subtract, scale, compare, and divide into a plain ratio.
template <class Unit, class Rep>
class Quantity {
 public:
  friend constexpr auto operator<=>(Quantity a, Quantity b) { return a.value_ <=> b.value_; }
  friend constexpr bool operator==(Quantity a, Quantity b) { return a.value_ == b.value_; }
  friend constexpr Unit operator+(Unit a, Unit b) { return make(a.value_ + b.value_); }
  friend constexpr Unit operator-(Unit a, Unit b) { return make(a.value_ - b.value_); }
  friend constexpr Unit operator*(Unit a, Rep k) { return make(a.value_ * k); }
  friend constexpr Unit operator*(Rep k, Unit a) { return make(k * a.value_); }
  // Counted in whole units, rounds towards zero.
  friend constexpr Unit operator/(Unit a, Rep k) { return make(a.value_ / k); }
  friend constexpr double operator/(Unit a, Unit b) {
    return static_cast<double>(a.value_) / static_cast<double>(b.value_);
  }
  constexpr Unit& operator+=(Unit b) { return value_ += b.value_, self(); }
  constexpr Unit& operator-=(Unit b) { return value_ -= b.value_, self(); }

 protected:
  constexpr Quantity() = default;
  constexpr explicit Quantity(Rep value) : value_(value) {}
  static constexpr Unit make(Rep value) {
    Unit unit;
    unit.value_ = value;
    return unit;
  }
  Rep value_ = 0;

 private:
  constexpr Unit& self() { return static_cast<Unit&>(*this); }
};

// A whole number of bytes.
class Bytes : public Quantity<Bytes, std::int64_t> {
 public:
  constexpr Bytes() = default;
  static constexpr Bytes bytes(std::int64_t n) { return make(n); }
  static constexpr Bytes kib(std::int64_t n) { return make(n << 10); }
  static constexpr Bytes mib(std::int64_t n) { return make(n << 20); }
  static constexpr Bytes gib(std::int64_t n) { return make(n << 30); }
  constexpr std::int64_t bytes() const { return value_; }
};

// A duration as a price: real-valued seconds. Simulated instants are Time.
class Seconds : public Quantity<Seconds, double> {
 public:
  constexpr Seconds() = default;
  static constexpr Seconds seconds(double s) { return make(s); }
  static constexpr Seconds microseconds(double us) { return make(us * 1e-6); }
  constexpr double seconds() const { return value_; }
};

// Floating-point operations; a multiply-add counts as two.
class Flops : public Quantity<Flops, double> {
 public:
  constexpr Flops() = default;
  static constexpr Flops flops(double n) { return make(n); }
  constexpr double flops() const { return value_; }
};

class BytesPerSecond : public Quantity<BytesPerSecond, double> {
 public:
  constexpr BytesPerSecond() = default;
  static constexpr BytesPerSecond bytes_per_second(double rate) { return make(rate); }
  static constexpr BytesPerSecond bits_per_second(double rate) { return make(rate / 8); }
  static constexpr BytesPerSecond gigabytes_per_second(double rate) { return make(rate * 1e9); }
  constexpr double bytes_per_second() const { return value_; }
};

class FlopsPerSecond : public Quantity<FlopsPerSecond, double> {
 public:
  constexpr FlopsPerSecond() = default;
  static constexpr FlopsPerSecond flops_per_second(double rate) { return make(rate); }
  static constexpr FlopsPerSecond teraflops_per_second(double rate) { return make(rate * 1e12); }
  constexpr double flops_per_second() const { return value_; }
};

constexpr Seconds operator/(Bytes amount, BytesPerSecond rate) {
  return Seconds::seconds(static_cast<double>(amount.bytes()) / rate.bytes_per_second());
}
constexpr Seconds operator/(Flops amount, FlopsPerSecond rate) {
  return Seconds::seconds(amount.flops() / rate.flops_per_second());
}
constexpr BytesPerSecond operator/(Bytes amount, Seconds duration) {
  return BytesPerSecond::bytes_per_second(static_cast<double>(amount.bytes()) / duration.seconds());
}
constexpr FlopsPerSecond operator/(Flops amount, Seconds duration) {
  return FlopsPerSecond::flops_per_second(amount.flops() / duration.seconds());
}

// An instant or a duration of simulated or measured time: int64 picoseconds (up to 106 days), so
// that the order of events is exact and the same on every compiler.
class Time : public Quantity<Time, std::int64_t> {
 public:
  constexpr Time() = default;
  static constexpr Time picoseconds(std::int64_t n) { return make(n); }
  static constexpr Time nanoseconds(std::int64_t n) { return make(n * 1000); }
  // The one conversion from a price: rounds up, so that a positive duration is never zero.
  static Time from(Seconds duration);
  constexpr std::int64_t picoseconds() const { return value_; }
  constexpr Seconds seconds() const {
    return Seconds::seconds(static_cast<double>(value_) * 1e-12);
  }
};

}  // namespace rehearse
