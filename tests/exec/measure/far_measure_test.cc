// A measurement of a device that is not the host, whose every time is known.
#include <gtest/gtest.h>

#include <map>

#include "cost/calibrate.h"
#include "cost/cost_model.h"
#include "exec/measure/measure.h"
#include "model/net/model_spec.h"
#include "tests/exec/far_device.h"
#include "tests/exec/measure/far_profile.h"
#include "tests/exec/measure/small_networks.h"

namespace rehearse::exec {
namespace {

using testing::far_profile;
using testing::far_times;
using testing::FarDevice;
using testing::make_far_backend;
using testing::small_networks;

const Gpu kGpu{"Far 1", "12.3", Bytes::gib(1)};

Samples measured_far(std::size_t ranks = 1) {
  Samples samples;
  run_local(ranks, [&](Transport& transport) {
    FarDevice device(transport.rank().value());
    const auto backend = make_far_backend(DataType::bf16, device, far_times());
    MeasureOptions options = testing::in_short(Seconds::seconds(0.1), small_networks());
    options.gpu = kGpu;
    options.streams = {1 << 10, 1 << 12, 1 << 14};
    const Samples mine = measure(transport, *backend, options);
    if (transport.rank() == RankId(0)) samples = mine;
  });
  return samples;
}

// All passes of a network, as a step has them.
double seconds_of(const MeasuredNet& measured, const Device& device) {
  const ElementSizes sizes = make_reference_backend(DataType::bf16)->sizes();
  Seconds sum;
  for (const Pass pass : {Pass::forward, Pass::backward}) {
    sum += price_pass(measured.net, SegmentId(0), end_segment(measured.net), pass, measured.samples,
                      sizes, device)
               .seconds;
  }
  return sum.seconds();
}

class FarMeasure : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { samples_ = new Samples(measured_far()); }
  static void TearDownTestSuite() { delete samples_; }
  static Samples* samples_;
};
Samples* FarMeasure::samples_ = nullptr;

// The device's own time of each kernel, not the host's. An optimizer's step is several kernels
// where weights decay and others do not, and is left out.
TEST_F(FarMeasure, FindsTheTimesOfItsKernels) {
  for (const KernelSample& s : samples_->kernels) {
    if (s.kernel == KernelClass::optimizer) continue;
    const double expected = price(far_profile(), s.kernel, s.flops, s.traffic).seconds();
    EXPECT_NEAR(s.seconds.seconds() / expected, 1, 1e-6) << s.what;
  }
}

// Rates as the far device has them for its copies.
TEST_F(FarMeasure, FindsItsCopiesAndLaunches) {
  std::map<CopyWay, int> ways;
  for (const CopySample& s : samples_->copies) {
    ++ways[s.way];
    const double share = s.way == CopyWay::within ? 1 : FarDevice::kShareOfHost;
    const Seconds expected = s.bytes / (FarDevice::kBandwidth * share);
    EXPECT_NEAR(s.seconds / expected, 1, 1e-6) << to_string(s.way);
  }
  EXPECT_EQ(ways, (std::map<CopyWay, int>{
                      {CopyWay::within, 3}, {CopyWay::to_device, 3}, {CopyWay::to_host, 3}}));
  ASSERT_TRUE(samples_->launch);
  EXPECT_NEAR(samples_->launch->device.seconds(), 5e-6, 1e-7);
}

// Ranks with a device each share nothing, and their threads move no messages.
TEST_F(FarMeasure, HasNothingOfWhatHostsShare) {
  for (const Samples& samples : {*samples_, measured_far(2)}) {
    EXPECT_TRUE(samples.messages.empty());
    EXPECT_TRUE(samples.reductions.empty());
    EXPECT_TRUE(samples.capacity.empty());
    ASSERT_TRUE(samples.gpu);
    EXPECT_EQ(samples.gpu->name, kGpu.name);
    EXPECT_EQ(samples.dtype, DataType::bf16);
  }
}

// The whole way: through the file and the fit to prices of networks that were measured and of
// numbers of samples that were not. The kernels of these are between the ones measured, where the
// profile is the device's own; the host's time for a launch, which is real, is left out.
TEST_F(FarMeasure, CalibratesAndPredicts) {
  const Samples read = parse_samples(print(*samples_), "far.json").value();
  Device device = calibrate(read, {}).value().device;
  EXPECT_EQ(device.kind, DeviceKind::gpu);
  EXPECT_EQ(device.combine, Combine::roofline);
  EXPECT_EQ(device.memory, kGpu.memory);
  EXPECT_GT(device.launch, Seconds{});
  device.launch = {};
  for (MeasuredNet measured : small_networks()) {
    for (const std::int64_t more : {0, 3}) {
      measured.samples += more;
      EXPECT_NEAR(seconds_of(measured, device) / seconds_of(measured, far_profile()), 1, 0.01)
          << measured.net.name << " of " << measured.samples;
    }
  }
}

TEST(FarMeasureOptions, NetworksThatDoNotFitAreLeftOut) {
  FarDevice device(1);
  const auto backend = make_far_backend(DataType::fp32, device, far_times());
  std::vector<std::string> said;
  MeasureOptions options = testing::in_short(Seconds::seconds(0.01), small_networks());
  options.networks.resize(1);
  options.gpu = kGpu;
  options.gpu->memory = Bytes::kib(64);
  options.streams = {1 << 10};
  options.progress = [&](const std::string& line) { said.push_back(line); };
  run_local(1, [&](Transport& transport) {
    const Samples samples = measure(transport, *backend, options);
    // What is left are the streams.
    for (const KernelSample& s : samples.kernels) {
      EXPECT_TRUE(s.kernel == KernelClass::optimizer || s.kernel == KernelClass::copy) << s.what;
    }
  });
  EXPECT_EQ(said.front(), "left out, too large for this GPU: resnet20, 2 samples");
}

}  // namespace
}  // namespace rehearse::exec
