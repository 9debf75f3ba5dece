// Loops that the compiler turns into vectors, for whatever the machine has.
#pragma once

#include <bit>
#include <cstdint>

// On a function: compiled for several instruction sets, of which the best is taken when the program
// starts. Products are never contracted into multiply-adds (-ffp-contract=off), so that all of them
// round alike; only sums over several lanes have another order. v4 is AVX-512 with the instructions
// on 16-bit numbers (BW, VL): without them loops over BFloat16 take half as many at a time.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define REHEARSE_VECTORS __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define REHEARSE_VECTORS
#endif

namespace rehearse::exec::onednn {

// exp(x) to 2e-7 relative, without branches: x = n ln 2 + r, exp(r) by its Taylor polynomial of
// degree 7 on |r| <= ln(2) / 2. Below -87.3, where results would be denormal, it is that of -87.3
// (1e-38); above 88.3 that of 88.3.
inline float exponential(float x) {
  constexpr float kLeast = -87.3F, kMost = 88.3F;
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: adding it rounds to whole numbers
  constexpr float kLog2E = 1.44269504F, kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
  x = x < kLeast ? kLeast : x;
  x = x > kMost ? kMost : x;
  const float shifted = x * kLog2E + kRounder;
  const float n = shifted - kRounder;
  const float r = x - n * kLn2High - n * kLn2Low;
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  constexpr std::int32_t kBias = 127, kMantissa = 23;
  const auto exponent =
      std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kRounder);
  return p * std::bit_cast<float>((exponent + kBias) << kMantissa);
}

}  // namespace rehearse::exec::onednn
