// One sample of a class that took far too long: the others' rates stay what they are.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cost/calibrate.h"
#include "model/base/random.h"
#include "tests/cost/devices.h"

namespace rehearse {
namespace {

using testing::simple_device;

constexpr auto kKernel = KernelClass::matrix_product;

// Of sizes within a factor of 30 and intensities within one of 1.5, as one network's kernels of a
// class are, each off by a few per cent. (Any three of four samples that have nothing in common
// have coefficients that price them exactly.)
std::vector<KernelSample> samples_of_class(const Device& device, int n, std::uint64_t seed) {
  std::vector<KernelSample> samples;
  Random random(seed);
  for (int i = 0; i < n; ++i) {
    const Flops flops = Flops::flops(std::exp(random.uniform() * 3.4) * 1e7);
    const Bytes bytes = Bytes::bytes(
        static_cast<std::int64_t>(flops.flops() / 100 * (0.8 + 0.4 * random.uniform())));
    const Seconds seconds = (1 + 0.02 * random.normal()) * price(device, kKernel, flops, bytes);
    samples.push_back({kKernel, "synthetic", flops, bytes, seconds, seconds, 1, 4});
  }
  return samples;
}

Calibration calibrated(const std::vector<KernelSample>& kernels) {
  Samples samples;
  samples.host = {"synthetic", 2, Bytes::gib(8), 4, "none"};
  samples.kernels = kernels;
  // Another class has the fastest kernels, which bound the rates that no sample tells.
  for (int i = 1; i <= 4; ++i) {
    const Flops flops = Flops::flops(i * 1e5);
    const Bytes bytes = Bytes::mib(i);
    const Seconds seconds = price(simple_device(), KernelClass::copy, flops, bytes);
    samples.kernels.push_back({KernelClass::copy, "synthetic", flops, bytes, seconds, seconds});
  }
  return calibrate(samples, {}).value();
}

const ClassFit& fit_of(const Calibration& calibration) {
  return calibration.classes[static_cast<std::size_t>(kKernel)];
}

double total(const Device& device, const std::vector<KernelSample>& samples) {
  double sum = 0;
  for (const KernelSample& s : samples)
    sum += price(device, s.kernel, s.flops, s.traffic).seconds();
  return sum;
}

class OneBadSample : public ::testing::TestWithParam<int> {};

TEST_P(OneBadSample, DoesNotTakeOverItsClass) {
  const Device device = simple_device();
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const auto clean = samples_of_class(device, GetParam(), seed);
    const Calibration before = calibrated(clean);
    for (const double factor : {10.0, 30.0, 100.0, 300.0, 1000.0}) {
      auto bad = clean;
      const auto longest = std::max_element(
          bad.begin(), bad.end(),
          [](const KernelSample& a, const KernelSample& b) { return a.seconds < b.seconds; });
      longest->seconds = factor * longest->seconds;
      longest->best = longest->seconds;
      const Calibration after = calibrated(bad);
      EXPECT_GE(fit_of(after).outliers, 1u) << seed << " x" << factor;
      EXPECT_LT(fit_of(after).median_error, 0.05) << seed << " x" << factor;
      EXPECT_NEAR(total(after.device, clean) / total(before.device, clean), 1, 0.05)
          << seed << " x" << factor;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Samples, OneBadSample, ::testing::Values(4, 14, 30, 46));

// Three samples that count decide three coefficients, or nearly: no interval has no width.
TEST(BadSample, LeavesNoIntervalOfNoWidth) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    auto samples = samples_of_class(simple_device(), 4, seed);
    samples[3].seconds = samples[3].best = 50 * samples[3].seconds;
    const RateIntervals confidence = fit_of(calibrated(samples)).confidence;
    for (const auto& interval : {confidence.compute, confidence.memory, confidence.overhead}) {
      if (!interval) continue;
      EXPECT_GT(interval->high, interval->low * (1 + 1e-6)) << seed;
    }
  }
}

}  // namespace
}  // namespace rehearse
