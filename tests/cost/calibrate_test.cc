#include "cost/calibrate.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "model/base/random.h"
#include "tests/cost/devices.h"

namespace rehearse {
namespace {

using testing::simple_device;

KernelSample kernel_sample(const Device& device, KernelClass kernel, double flops,
                           std::int64_t bytes, double factor = 1) {
  const Seconds seconds = factor * price(device, kernel, Flops::flops(flops), Bytes::bytes(bytes));
  return {kernel, "synthetic", Flops::flops(flops), Bytes::bytes(bytes), seconds, seconds, 1, 1};
}

// Kernels of every class whose FLOPs and bytes are not multiples of each other.
Samples samples_on(const Device& device, double noise = 0, std::uint64_t seed = 3) {
  Samples samples;
  samples.host = {"synthetic", 2, Bytes::gib(8), 4, "none"};
  samples.workspace = Bytes::mib(5);
  Random random(seed);
  for (int k = 0; k < kKernelClassCount; ++k) {
    for (int i = 0; i < 40; ++i) {
      const double flops = std::exp(random.uniform() * 12) * 1e3;
      const auto bytes = static_cast<std::int64_t>(std::exp(random.uniform() * 12) * 1e3);
      const double factor = 1 + noise * random.normal();
      samples.kernels.push_back(
          kernel_sample(device, static_cast<KernelClass>(k), flops, bytes, factor));
    }
  }
  return samples;
}

double off(double got, double expected) {
  return std::abs(got / expected - 1);
}

void expect_near(const Device& got, const Device& expected, double tolerance) {
  for (std::size_t k = 0; k < got.kernels.size(); ++k) {
    const KernelRate &a = got.kernels[k], &b = expected.kernels[k];
    EXPECT_LT(off(a.compute.flops_per_second(), b.compute.flops_per_second()), tolerance) << k;
    EXPECT_LT(off(a.memory.bytes_per_second(), b.memory.bytes_per_second()), tolerance) << k;
    EXPECT_LT(off(a.overhead.seconds(), b.overhead.seconds()), tolerance) << k;
  }
}

TEST(Calibrate, RecoversTheRates) {
  const Device device = simple_device();
  const Calibration calibration = calibrate(samples_on(device), {}).value();
  expect_near(calibration.device, device, 1e-9);
  for (const ClassFit& fit : calibration.classes) {
    EXPECT_EQ(fit.samples, 40u);
    EXPECT_LT(fit.worst_error, 1e-9);
    EXPECT_FALSE(fit.borrowed_from);
  }
}

// Multiplying the normal equations by the coefficients gives sum of calls (measured - priced) = 0,
// whatever the errors of the kernels (see fit_kernels.h).
TEST(Calibrate, KeepsTotals) {
  Samples samples = samples_on(simple_device());
  Random random(5);
  for (KernelSample& s : samples.kernels) {
    s.seconds = (0.8 + 0.4 * random.uniform()) * s.seconds;  // none of them is an outlier
    s.calls = static_cast<std::int64_t>(1 + random.below(9));
  }
  const Device fitted = calibrate(samples, {}).value().device;
  std::array<double, kKernelClassCount> measured{}, priced{};
  for (const KernelSample& s : samples.kernels) {
    const auto k = static_cast<std::size_t>(s.kernel);
    measured[k] += static_cast<double>(s.calls) * s.seconds.seconds();
    priced[k] +=
        static_cast<double>(s.calls) * price(fitted, s.kernel, s.flops, s.traffic).seconds();
  }
  for (std::size_t k = 0; k < measured.size(); ++k)
    EXPECT_NEAR(priced[k] / measured[k], 1, 1e-12);
}

// Kernels that take long have the weight: they are priced at least as well as they were measured.
TEST(Calibrate, WithstandsNoise) {
  const Device device = simple_device();
  for (const double noise : {0.01, 0.1}) {
    const Samples samples = samples_on(device, noise);
    const Device fitted = calibrate(samples, {}).value().device;
    double squares = 0;
    int long_ones = 0;
    for (const KernelSample& s : samples.kernels) {
      const Seconds truth = price(device, s.kernel, s.flops, s.traffic);
      if (truth < Seconds::seconds(1e-3)) continue;
      const double error = off(price(fitted, s.kernel, s.flops, s.traffic) / truth, 1);
      squares += error * error;
      ++long_ones;
    }
    EXPECT_GT(long_ones, 50);
    EXPECT_LT(std::sqrt(squares / long_ones), noise);
  }
}

// Times that fall with the bytes would make a negative rate; "no limit" would be wrong for the next
// kernel: the row keeps to twice the fastest that was seen, 4 KiB in 25 us.
TEST(Calibrate, RatesAreNeitherNegativeNorEndless) {
  Samples samples;
  for (int i = 1; i <= 4; ++i) {
    const Seconds seconds = Seconds::microseconds(100.0 / i);
    samples.kernels.push_back(
        {KernelClass::copy, "odd", Flops{}, Bytes::kib(i), seconds, seconds, 1, 1});
  }
  const Device device = calibrate(samples, {}).value().device;
  const KernelRate& rate = rate_of(device, KernelClass::copy);
  EXPECT_DOUBLE_EQ(rate.memory.bytes_per_second(), 4096 / 25e-6);
  EXPECT_DOUBLE_EQ(rate.compute.flops_per_second(), kFastest) << "nothing measured computes";
  EXPECT_GT(rate.overhead, Seconds{});
}

// One kernel in eight took from a thirtieth to thirty times what it should have.
Samples with_outliers(Samples samples) {
  Random random(9);
  for (std::size_t i = 0; i < samples.kernels.size(); i += 8) {
    const double factor = std::exp((1.5 + 2 * random.uniform()) * (random.below(2) ? 1 : -1));
    samples.kernels[i].seconds = factor * samples.kernels[i].seconds;
    samples.kernels[i].best = std::min(samples.kernels[i].best, samples.kernels[i].seconds);
  }
  return samples;
}

TEST(Calibrate, IsNotMovedByOutliers) {
  const Device device = simple_device();
  const Calibration exact = calibrate(with_outliers(samples_on(device)), {}).value();
  expect_near(exact.device, device, 0.02);
  for (const ClassFit& fit : exact.classes) {
    EXPECT_EQ(fit.outliers, 5u) << to_string(fit.kernel);
    EXPECT_LT(fit.median_error, 0.01);
  }
  // As near as a fit of the others alone, or nearly.
  const Samples noisy = samples_on(device, 0.05);
  const Device with = calibrate(with_outliers(noisy), {}).value().device;
  Samples others = noisy;
  others.kernels.clear();
  for (std::size_t i = 0; i < noisy.kernels.size(); ++i) {
    if (i % 8 != 0) others.kernels.push_back(noisy.kernels[i]);
  }
  const Device without = calibrate(others, {}).value().device;
  for (const KernelSample& s : others.kernels) {
    if (s.seconds < Seconds::seconds(1e-3)) continue;
    EXPECT_LT(off(price(with, s.kernel, s.flops, s.traffic).seconds(),
                  price(without, s.kernel, s.flops, s.traffic).seconds()),
              0.05);
  }
}

// Of nine classes in each of 60 draws, how many intervals of 90 % confidence hold the truth.
TEST(Calibrate, ConfidenceHoldsTheTruthInNineOfTenDraws) {
  const Device device = simple_device();
  for (const bool has_outliers : {false, true}) {
    std::array<int, 3> inside{}, all{};
    const auto count = [&](std::size_t c, const std::optional<Interval>& interval, double truth) {
      if (!interval) return;
      ++all[c];
      inside[c] += interval->low <= truth && truth <= interval->high;
    };
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      const Samples drawn = samples_on(device, 0.05, 100 + seed);
      const Calibration calibration =
          calibrate(has_outliers ? with_outliers(drawn) : drawn, {}).value();
      for (const ClassFit& fit : calibration.classes) {
        const KernelRate& rate = rate_of(device, fit.kernel);
        count(0, fit.confidence.compute, rate.compute.flops_per_second());
        count(1, fit.confidence.memory, rate.memory.bytes_per_second());
        count(2, fit.confidence.overhead, rate.overhead.seconds());
      }
    }
    for (std::size_t c = 0; c < 3; ++c) {
      EXPECT_GT(all[c], 480);  // the others are at their bound
      EXPECT_GE(inside[c], 0.85 * all[c]) << c << has_outliers;
      EXPECT_LE(inside[c], 0.96 * all[c]) << c << has_outliers;
    }
  }
}

TEST(Calibrate, BorrowsFromTheNearestClass) {
  const Device device = simple_device();
  Samples samples = samples_on(device);
  std::erase_if(samples.kernels, [](const KernelSample& s) {
    return s.kernel == KernelClass::embedding || s.kernel == KernelClass::convolution;
  });
  samples.kernels.push_back(kernel_sample(device, KernelClass::embedding, 1000, 1000));
  const Calibration calibration = calibrate(samples, {}).value();
  const ClassFit& embedding = calibration.classes[static_cast<std::size_t>(KernelClass::embedding)];
  EXPECT_EQ(embedding.borrowed_from, KernelClass::copy);
  EXPECT_EQ(embedding.samples, 1u);
  EXPECT_GT(embedding.worst_error, 0.01) << "judged by its own sample";
  EXPECT_EQ(rate_of(calibration.device, KernelClass::embedding).overhead,
            rate_of(calibration.device, KernelClass::copy).overhead);
  EXPECT_EQ(provenance_of(calibration.device, KernelClass::embedding), Provenance::assumed);
  EXPECT_EQ(provenance_of(calibration.device, KernelClass::copy), Provenance::measured);
  EXPECT_EQ(calibration.classes[static_cast<std::size_t>(KernelClass::convolution)].borrowed_from,
            KernelClass::matrix_product);
}

TEST(Calibrate, NeedsSamples) {
  const Result<Calibration> calibration = calibrate({}, {});
  ASSERT_FALSE(calibration);
  EXPECT_EQ(calibration.errors()[0].message, "no kernel class has 3 samples");
}

// Messages whose one way takes `fixed` + `per_byte`, of which the threads measure a sending and a
// receiving part: 0.5 us + 0.05 ns per byte, and 1.5 us + 0.15 ns per byte.
Messaging fitted_messaging(double fixed, double per_byte) {
  Samples samples = samples_on(simple_device());
  for (const std::int64_t bytes : {0, 1000, 100000, 4000000}) {
    const auto b = static_cast<double>(bytes);
    samples.messages.push_back({Bytes::bytes(bytes), Seconds::seconds(2 * (fixed + per_byte * b)),
                                Seconds::seconds(0.5e-6 + 0.5e-10 * b),
                                Seconds::seconds(1.5e-6 + 1.5e-10 * b), 1});
  }
  // Two pairs share the cores: not what one message costs.
  samples.messages.push_back(
      {Bytes::bytes(1000), Seconds::seconds(1), Seconds::seconds(1), Seconds::seconds(1), 2});
  samples.reductions = {{Bytes::bytes(1000), Seconds::seconds(1e-7)},
                        {Bytes::bytes(4000), Seconds::seconds(4e-7)}};
  const Calibration calibration = calibrate(samples, {}).value();
  EXPECT_LT(calibration.messages->median_error, 1e-9);
  return calibration.device.messaging;
}

TEST(Calibrate, DividesMessagesAmongThreads) {
  // One way 4 us: 1 us of each thread on average, at once, and 3 us on the way. 0.2 ns per byte is
  // what the two threads work together.
  const Messaging m = fitted_messaging(4e-6, 2e-10);
  EXPECT_NEAR(m.per_message.seconds(), 1e-6, 1e-12);
  EXPECT_NEAR(m.latency.seconds(), 3e-6, 1e-12);
  EXPECT_NEAR(m.send_per_byte.seconds(), 0.5e-10, 1e-16);
  EXPECT_NEAR(m.receive_per_byte.seconds(), 1.5e-10, 1e-16);
  EXPECT_NEAR(m.reduce_per_byte.seconds(), 1e-10, 1e-16);
}

// Bytes that take longer than both threads work are the threads' in the measured proportion.
TEST(Calibrate, LeavesNoTimeOfAMessageOut) {
  const Messaging m = fitted_messaging(4e-6, 4e-10);
  EXPECT_NEAR(m.send_per_byte.seconds(), 1e-10, 1e-16);
  EXPECT_NEAR(m.receive_per_byte.seconds(), 3e-10, 1e-16);
}

// Threads that work side by side, piece by piece, are as busy as they say.
TEST(Calibrate, LetsThreadsWorkSideBySide) {
  const Messaging m = fitted_messaging(4e-6, 1.5e-10);
  EXPECT_NEAR(m.send_per_byte.seconds(), 0.5e-10, 1e-16);
  EXPECT_NEAR(m.receive_per_byte.seconds(), 1.5e-10, 1e-16);
}

Samples gpu_samples_on(const Device& device, double noise = 0) {
  Samples samples = samples_on(device, noise);
  samples.date = "2026-11-30";
  samples.gpu = {"NVIDIA H200", "580.65.06", Bytes::gib(140)};
  samples.dtype = DataType::bf16;
  return samples;
}

class CalibrateGpu : public ::testing::TestWithParam<Combine> {};

TEST_P(CalibrateGpu, RecoversTheRatesAndTheWay) {
  const Device device = simple_device(GetParam());
  const Calibration calibration = calibrate(gpu_samples_on(device), {}).value();
  EXPECT_EQ(calibration.device.combine, GetParam());
  expect_near(calibration.device, device, 1e-9);
  for (const ClassFit& fit : calibration.classes)
    EXPECT_LT(fit.worst_error, 1e-9);
}

// A fit of least squares is no farther from the samples than the truth is; so, in the norm that it
// makes least, it is no farther from the truth than twice that. Its weights are 1 / priced, here
// the truth's: where noise is small those differ by the noise of a price, 3 deviations at the most,
// each of which the norm has the root of.
TEST_P(CalibrateGpu, IsAsNearToTheTruthAsTheNoiseLets) {
  const Device device = simple_device(GetParam());
  constexpr double kNoise = 0.03;
  const Samples samples = gpu_samples_on(device, kNoise);
  const Device fitted = calibrate(samples, {}).value().device;
  EXPECT_EQ(fitted.combine, GetParam());
  std::array<double, kKernelClassCount> to_samples{}, to_truth{};
  for (const KernelSample& s : samples.kernels) {
    const auto k = static_cast<std::size_t>(s.kernel);
    const double truth = price(device, s.kernel, s.flops, s.traffic).seconds();
    const double priced = price(fitted, s.kernel, s.flops, s.traffic).seconds();
    to_samples[k] += std::pow(s.seconds.seconds() - truth, 2) / truth;
    to_truth[k] += std::pow(priced - truth, 2) / truth;
  }
  const double weights = std::sqrt((1 + 3 * kNoise) / (1 - 3 * kNoise));
  for (std::size_t k = 0; k < to_truth.size(); ++k)
    EXPECT_LT(std::sqrt(to_truth[k]), (1 + weights) * std::sqrt(to_samples[k])) << k;
}

INSTANTIATE_TEST_SUITE_P(Ways, CalibrateGpu,
                         ::testing::Values(Combine::roofline, Combine::additive),
                         [](const auto& info) { return std::string(to_string(info.param)); });

TEST(Calibrate, KnowsTheGpu) {
  Samples samples = gpu_samples_on(simple_device(Combine::roofline));
  samples.copies = {{Bytes::mib(8), Seconds::seconds(1e-3), 1},
                    {Bytes::mib(8), Seconds::seconds(1e-6), 1, CopyWay::to_device}};
  samples.launch = {Seconds::microseconds(3), Seconds::microseconds(2)};
  Device base;
  base.peak[DataType::bf16] = FlopsPerSecond::teraflops_per_second(989.4);
  const Device device = calibrate(samples, base).value().device;
  EXPECT_EQ(device.kind, DeviceKind::gpu);
  EXPECT_EQ(device.source, "rehearse-exec measure on NVIDIA H200, driver 580.65.06, 2026-11-30");
  EXPECT_EQ(device.provenance, Provenance::measured);
  EXPECT_EQ(device.memory, Bytes::gib(140));
  EXPECT_EQ(device.rates_for, DataType::bf16);
  EXPECT_EQ(device.peak.at(DataType::bf16), base.peak.at(DataType::bf16));
  EXPECT_TRUE(device.capacity.empty());
  EXPECT_EQ(device.launch, samples.launch->host);
  // What comes from the host does not count.
  EXPECT_NEAR(device.memory_bandwidth.bytes_per_second(), 2 * 8 * 1048576 / 1e-3, 1);
}

// Kernels that take long do not tell what a short one costs: it is a launch at least.
TEST(Calibrate, NoKernelOfAGpuIsShorterThanALaunch) {
  Device device = simple_device(Combine::roofline);
  for (KernelRate& rate : device.kernels)
    rate.overhead = {};
  Samples samples = gpu_samples_on(device);
  samples.launch = {Seconds::microseconds(3), Seconds::microseconds(2)};
  const Device fitted = calibrate(samples, {}).value().device;
  for (const KernelRate& rate : fitted.kernels)
    EXPECT_GE(rate.overhead, samples.launch->device);
}

TEST(Calibrate, KnowsTheNode) {
  Samples samples = samples_on(simple_device());
  samples.copies = {{Bytes::mib(8), Seconds::seconds(1e-3), 1},
                    {Bytes::mib(8), Seconds::seconds(2e-4), 4}};
  samples.capacity = {{KernelClass::elementwise, 1, 1.0},
                      {KernelClass::elementwise, 2, 1.1},
                      {KernelClass::convolution, 1, 1.0},
                      {KernelClass::convolution, 2, 1.9}};
  Device base;
  base.name = "box";
  base.peak[DataType::bf16] = FlopsPerSecond::teraflops_per_second(1);
  const Device device = calibrate(samples, base).value().device;
  EXPECT_EQ(device.name, "box");
  EXPECT_EQ(device.provenance, Provenance::measured);
  EXPECT_EQ(device.memory, samples.host.memory);
  EXPECT_EQ(device.workspace, samples.workspace);
  // Four ranks each read and write 8 MiB in 0.2 ms.
  EXPECT_NEAR(device.memory_bandwidth.bytes_per_second(), 4 * 2 * 8 * 1048576 / 2e-4, 1);
  EXPECT_EQ(device.capacity, (std::vector<double>{1.0, 1.9}));
  EXPECT_EQ(device.peak.at(DataType::bf16).flops_per_second(), 1e12);
  // Convolutions approach 1 GFLOP/s, copies 9, which is the most.
  EXPECT_NEAR(device.peak.at(DataType::fp32).flops_per_second(), 9e9, 10);
}

// Copies of all ranks together may have been measured while others had the memory: 4 GB/s of them
// are less than the 90 GB/s of one rank's.
TEST(Calibrate, ANodesMemoryIsNoSlowerThanOneRanksCopies) {
  const Device simple = simple_device();
  Samples samples = samples_on(simple);
  samples.copies = {{Bytes::bytes(2'000'000), Seconds::seconds(1e-3), 1}};
  const Device device = calibrate(samples, {}).value().device;
  EXPECT_NEAR(device.memory_bandwidth / rate_of(simple, KernelClass::copy).memory, 1, 1e-9);
}

// Where only bytes take time no sample tells how fast a class computes: as the fastest kernel does.
TEST(Calibrate, ARateThatNoSampleTellsIsTheFastestKernels) {
  Samples samples = samples_on(simple_device());
  FlopsPerSecond fastest;
  for (KernelSample& s : samples.kernels) {
    if (s.kernel == KernelClass::attention)
      s.seconds = s.best = s.traffic / BytesPerSecond::gigabytes_per_second(20);
    fastest = std::max(fastest, s.flops / s.best);
  }
  const Calibration calibration = calibrate(samples, {}).value();
  const auto k = static_cast<std::size_t>(KernelClass::attention);
  EXPECT_FALSE(calibration.classes[k].confidence.compute);
  EXPECT_DOUBLE_EQ(calibration.device.kernels[k].compute / fastest, 1);
  for (const KernelRate& rate : calibration.device.kernels)
    EXPECT_LE(rate.compute, calibration.device.peak.at(DataType::fp32) * (1 + 1e-12));
}

}  // namespace
}  // namespace rehearse
