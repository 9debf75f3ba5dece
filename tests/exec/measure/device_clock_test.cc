#include "exec/measure/device_clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/exec/far_device.h"
#include "tests/exec/measure/far_profile.h"

namespace rehearse::exec {
namespace {

using testing::far_profile;
using testing::far_times;
using testing::FarDevice;
using testing::make_far_backend;

class FarClock : public ::testing::Test {
 protected:
  // Whose kernel adds so many numbers: the device's time for it follows from the profile.
  DeviceWork addition_of(std::int64_t n) {
    return [this, n] { backend_->add(memory_.data(), memory_.data(), n); };
  }
  static double seconds_of_addition(std::int64_t n) {
    const auto flops = Flops::flops(static_cast<double>(n));
    return price(far_profile(), KernelClass::elementwise, flops, Bytes::bytes(3 * 4 * n)).seconds();
  }

  FarDevice device_{1};
  std::unique_ptr<Backend> backend_ = make_far_backend(DataType::fp32, device_, far_times());
  Slab memory_{device_, Bytes::mib(1)};
  DeviceClock clock_{*backend_};
};

// The host is slower than this device says it is, and at other times: its clock must not matter;
// nor what the marks take, of which there is one to a kernel.
TEST_F(FarClock, TellsTheDevicesTimeOfEveryKernel) {
  DeviceSeries series{{addition_of(100), addition_of(50000), addition_of(1), addition_of(100000)}};
  for (int round = 0; round < 2; ++round) {
    const std::vector<Seconds> times = clock_.each(series);
    ASSERT_EQ(times.size(), 4u);
    std::size_t k = 0;
    for (const std::int64_t n : {100, 50000, 1, 100000})
      EXPECT_NEAR(times[k++].seconds(), seconds_of_addition(n), 1e-9) << n;
  }
}

TEST_F(FarClock, RepeatsOneKernel) {
  const auto times = clock_.repeat(Seconds{}, 3, addition_of(10000));
  ASSERT_EQ(times.size(), 3u);
  for (const Seconds time : times)
    EXPECT_NEAR(time.seconds(), seconds_of_addition(10000), 1e-9);
}

// Ten calls of 1 ms and a mark behind each: while they are queued the device has to have other
// work, which lasts for 10 ms at least.
TEST_F(FarClock, GivesTheDeviceOtherWorkWhileTheHostQueues) {
  const DeviceWork slow = [] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
  DeviceSeries series{std::vector<DeviceWork>(10, slow)};
  clock_.each(series);  // which tells how long the host takes
  const std::vector<Mark> around = {device_.timed_mark(), [&] {
                                      clock_.each(series);
                                      return device_.timed_mark();
                                    }()};
  EXPECT_GT(device_.times_between(around).front(), Seconds::seconds(0.010));
}

TEST_F(FarClock, MeasuresALaunch) {
  const LaunchSample launch = clock_.launch().value();
  EXPECT_NEAR(launch.device.seconds(), seconds_of_addition(1), 1e-9);
  EXPECT_GT(launch.host, Seconds{});
}

TEST(HostClock, HasNoLaunches) {
  const auto backend = make_reference_backend(DataType::fp32);
  EXPECT_FALSE(DeviceClock(*backend).launch());
}

}  // namespace
}  // namespace rehearse::exec
