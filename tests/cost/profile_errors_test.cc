#include "cost/profile_errors.h"

#include <gtest/gtest.h>

#include <cmath>

#include "cost/calibrate.h"
#include "cost/collective_cost.h"
#include "model/base/random.h"
#include "tests/cost/devices.h"

namespace rehearse {
namespace {

using testing::simple_device;

// Kernels of one network's step, all slower than the device by one factor, and its totals.
void add_step(Samples& samples, const Device& device, const std::string& network, std::int64_t size,
              double factor, double spread, Random& random) {
  const std::size_t step = samples.steps.size();
  Seconds total;
  for (int k = 0; k < kKernelClassCount; ++k) {
    for (int i = 0; i < 8; ++i) {
      const Flops flops = Flops::flops(std::exp(random.uniform() * 8) * 1e5);
      const Bytes bytes =
          Bytes::bytes(static_cast<std::int64_t>(std::exp(random.uniform() * 8) * 1e5));
      const auto kernel = static_cast<KernelClass>(k);
      const Seconds seconds = factor * price(device, kernel, flops, bytes);
      samples.kernels.push_back({kernel, "synthetic", flops, bytes, seconds, seconds, 9, 1, step});
      total += seconds;
    }
  }
  samples.steps.push_back({network, size, {}});
  for (int r = 0; r < 60; ++r)
    samples.steps.back().repeats.push_back(std::exp(spread * random.normal()) * total);
}

Samples empty_samples() {
  Samples samples;
  samples.host = {"synthetic", 2, Bytes::gib(8), 2, "none"};
  return samples;
}

TEST(ProfileErrors, OfADeviceAsItsProfileSaysAreNone) {
  Random random(1);
  Samples samples = empty_samples();
  for (const char* network : {"a", "b"})
    for (const std::int64_t size : {4, 16})
      add_step(samples, simple_device(), network, size, 1, 0, random);
  const ProfileErrors found = *calibrate(samples, {}).value().errors;
  ASSERT_EQ(found.networks.size(), 4u);
  EXPECT_EQ(found.networks[1].what, "a, 16 samples");
  EXPECT_LT(found.errors.computing, 1e-6);
  EXPECT_LT(found.errors.strategy, 1e-6);
  EXPECT_EQ(found.errors.messages, kMostError) << "none were measured: nothing is known of them";
}

// Steps that differ by 10 % from one to the next, of networks that are priced right: medians of 15
// normal values differ by sqrt(pi / 2 / 15) of that, and four normal values by 1.43 of their
// deviation, root mean square, from the least of them (sampled).
TEST(ProfileErrors, HaveTheRunToRunSpread) {
  Random random(2);
  Samples samples = empty_samples();
  for (const char* network : {"a", "b", "c", "d"})
    add_step(samples, simple_device(), network, 4, 1, 0.1, random);
  const ProfileErrors found = *calibrate(samples, {}).value().errors;
  EXPECT_NEAR(found.step_spread, 0.0324 * 1.43, 0.015);
  EXPECT_NEAR(found.errors.computing, found.step_spread, 1e-6);
  EXPECT_EQ(found.errors.strategy, found.step_spread) << "no network has two sizes";
}

// Two networks, one 1.5 times as slow: each priced by the other's kernels is off by log 1.5, both
// sizes of it alike. Half of what the sizes differ by squared is what a size has for itself: 0.
TEST(ProfileErrors, LeaveOutTheNetworkThatTheyPrice) {
  Random random(3);
  Samples samples = empty_samples();
  add_step(samples, simple_device(), "a", 4, 1, 0, random);
  add_step(samples, simple_device(), "b", 4, 1.5, 0, random);
  const ProfileErrors found = *calibrate(samples, {}).value().errors;
  EXPECT_NEAR(found.networks[0].log_error(), -std::log(1.5), 1e-6);
  EXPECT_NEAR(found.networks[1].log_error(), std::log(1.5), 1e-6);
  EXPECT_NEAR(found.network_deviation, std::log(1.5), 1e-6);
}

// Of one network at two sizes, off by log 1.2 and -log 1.2 when each is priced by the other: they
// differ by 2 log 1.2, of which each prediction has 1 / sqrt(2) for itself.
TEST(ProfileErrors, OfOnePredictionFollowFromSizesOfANetwork) {
  Random random(4);
  Samples samples = empty_samples();
  add_step(samples, simple_device(), "a", 4, 1, 0, random);
  add_step(samples, simple_device(), "a", 16, 1.2, 0, random);
  const ProfileErrors found = *calibrate(samples, {}).value().errors;
  EXPECT_NEAR(found.errors.strategy, 2 * std::log(1.2) / std::sqrt(2), 1e-6);
}

// All-reduces that take twice their closed form are off by log 2.
TEST(ProfileErrors, OfMessagesAreThoseOfPingPongAndAllReduces) {
  Random random(5);
  Samples samples = empty_samples();
  add_step(samples, simple_device(), "a", 4, 1, 0, random);
  add_step(samples, simple_device(), "b", 4, 1, 0, random);
  for (const std::int64_t bytes : {0, 1000, 100'000, 4'000'000}) {
    const Seconds one_way = Seconds::seconds(5e-6 + 1e-9 * static_cast<double>(bytes));
    samples.messages.push_back(
        {Bytes::bytes(bytes), 2 * one_way, 0.1 * one_way, 0.1 * one_way, 1, {}});
  }
  const Device fitted = calibrate(samples, {}).value().device;
  const MessageCost cost = exchange_cost(fitted, {}, 2);
  for (const std::int64_t elements : {1000, 100'000, 1'000'000, 10'000'000}) {
    samples.collectives.push_back(
        {2, Bytes::bytes(4 * elements), 4, 2 * ring_all_reduce_seconds(cost, 2, elements, 4), {}});
  }
  const ProfileErrors found = *calibrate(samples, {}).value().errors;
  for (const CheckedTime& one : found.messages)
    EXPECT_NEAR(one.log_error(), 0, 1e-6) << one.what;
  for (const CheckedTime& one : found.collectives)
    EXPECT_NEAR(one.log_error(), std::log(2), 1e-6) << one.what;
  EXPECT_NEAR(found.errors.messages, std::log(2) / std::sqrt(2), 1e-6);
  // Stretches of 1, 1, 2 and 2: half of them log 2 from the least.
  const Seconds one = Seconds::seconds(1e-3), two = 2.0 * one;
  samples.collectives.front().repeats = {one, one, one, one, two, two, two, two};
  const ProfileErrors spread = *calibrate(samples, {}).value().errors;
  EXPECT_NEAR(spread.message_spread, std::log(2) / std::sqrt(2), 1e-9);
  EXPECT_NEAR(spread.errors.messages, std::hypot(found.errors.messages, spread.message_spread),
              1e-9);
}

// Two ranks do 1.8 times the work of one in convolutions, 1.2 times in elementwise kernels.
TEST(ProfileErrors, OfComputingHaveTheContentionThatOneCapacityDoesNotTell) {
  Random random(7);
  Samples samples = empty_samples();
  for (const char* network : {"a", "b"})
    add_step(samples, simple_device(), network, 4, 1, 0, random);
  samples.capacity = {{KernelClass::convolution, 1, 1},
                      {KernelClass::convolution, 2, 1.8},
                      {KernelClass::elementwise, 1, 1},
                      {KernelClass::elementwise, 2, 1.2}};
  const ProfileErrors found = *calibrate(samples, {}).value().errors;
  EXPECT_NEAR(found.contention_deviation, std::log(1.5), 1e-9);
  EXPECT_NEAR(found.errors.computing, std::log(1.5), 1e-6);
}

TEST(ProfileErrors, AreNotKnownOfSamplesWithoutSteps) {
  Random random(6);
  Samples samples = empty_samples();
  add_step(samples, simple_device(), "a", 4, 1, 0, random);
  samples.steps.clear();
  for (KernelSample& kernel : samples.kernels)
    kernel.step.reset();
  const Calibration calibration = calibrate(samples, {}).value();
  EXPECT_FALSE(calibration.errors);
  EXPECT_FALSE(calibration.device.errors);
}

}  // namespace
}  // namespace rehearse
