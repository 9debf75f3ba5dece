#include "sim/jitter.h"

#include <cmath>
#include <numbers>

#include "model/base/philox.h"

namespace rehearse::sim {
namespace {

// Of numbers that are no op's.
constexpr std::uint32_t kWholeStep = ~0U;

// Standard normal, by Box and Muller's formula from two uniform numbers of (0, 1).
double normal(const Jitter& jitter, RankId rank, std::int64_t step, std::uint32_t what) {
  const auto of_step = static_cast<std::uint64_t>(step);
  const auto bits = philox_block(
      {rank.value(), what, static_cast<std::uint32_t>(of_step),
       static_cast<std::uint32_t>(of_step >> 32U)},
      {static_cast<std::uint32_t>(jitter.seed), static_cast<std::uint32_t>(jitter.seed >> 32U)});
  const auto uniform = [](std::uint32_t word) {
    return (static_cast<double>(word) + 0.5) * 0x1p-32;
  };
  return std::sqrt(-2 * std::log(uniform(bits[0]))) *
         std::cos(2 * std::numbers::pi * uniform(bits[1]));
}

// A log-normal number exp(s z - s^2 / 2) has the mean 1 and the variance exp(s^2) - 1.
double factor(double deviation, double z) {
  const double variance = std::log1p(deviation * deviation);
  return std::exp(std::sqrt(variance) * z - variance / 2);
}

}  // namespace

double stretch(const Jitter& jitter, RankId rank, std::int64_t step, OpId op) {
  double product = 1;
  if (jitter.op > 0) product *= factor(jitter.op, normal(jitter, rank, step, op.value()));
  if (jitter.step > 0) product *= factor(jitter.step, normal(jitter, rank, step, kWholeStep));
  return std::round(product * 0x1p32) * 0x1p-32;
}

}  // namespace rehearse::sim
