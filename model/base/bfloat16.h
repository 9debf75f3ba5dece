// bfloat16: the upper half of an fp32 number. The same range, 8 significant bits.
#pragma once

#include <bit>
#include <cstdint>

namespace rehearse {

// Stores only: arithmetic is that of float. Values are rounded to the nearest one, ties to even;
// what is larger than all becomes infinite, and a NaN stays a NaN.
class BFloat16 {
 public:
  constexpr BFloat16() = default;
  constexpr BFloat16(const BFloat16&) = default;
  // By its bits, not as a trivial class: loops that the compiler is told to make vectors of ("omp
  // simd") would keep a temporary object per lane in memory, and stay scalar.
  constexpr BFloat16& operator=(const BFloat16& other) {
    bits_ = other.bits_;
    return *this;
  }
  // Without branches, so that loops become vectors.
  constexpr explicit BFloat16(float value) {
    const auto whole = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t odd = whole >> 16 & 1u;
    const std::uint32_t rounded = (whole + 0x7fffu + odd) >> 16;
    const std::uint32_t quiet = whole >> 16 | 0x40u;
    bits_ = static_cast<std::uint16_t>(value == value ? rounded : quiet);
  }
  // Rounded once.
  constexpr explicit BFloat16(double value) : BFloat16(to_odd(value)) {}

  constexpr operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits_) << 16);
  }
  constexpr std::uint16_t bits() const { return bits_; }

 private:
  // To fp32 with the last bit set where anything is lost: what lies beside a tie stays beside it
  // (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008, theorem 3).
  static constexpr float to_odd(double value) {
    const auto near = static_cast<float>(value);
    if (static_cast<double>(near) == value || value != value) return near;
    const auto bits = std::bit_cast<std::uint32_t>(near);
    const bool is_above =
        value > 0 ? static_cast<double>(near) > value : static_cast<double>(near) < value;
    return std::bit_cast<float>((is_above ? bits - 1 : bits) | 1u);
  }

  std::uint16_t bits_ = 0;
};

// What elements of a type are computed in, and what statistics beside them are stored in.
template <class Real>
struct WideOf {
  using type = Real;
};
template <>
struct WideOf<BFloat16> {
  using type = float;
};
template <class Real>
using Wide = typename WideOf<Real>::type;

}  // namespace rehearse
