// Device profiles: every number arrives, and what is printed reads back as the same device.
#include <gtest/gtest.h>

#include <random>

#include "tests/scenario/files.h"

namespace rehearse {
namespace {

Device read(const std::filesystem::path& path) {
  const Result<Device> device = read_device(path.string());
  EXPECT_TRUE(device.ok()) << format(device.errors());
  return device.ok() ? *device : Device{};
}

void expect_equal(const Device& a, const Device& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.provenance, b.provenance);
  EXPECT_EQ(a.memory, b.memory);
  EXPECT_EQ(a.memory_bandwidth, b.memory_bandwidth);
  EXPECT_EQ(a.peak, b.peak);
  EXPECT_EQ(a.rates_for, b.rates_for);
  EXPECT_EQ(a.combine, b.combine);
  for (std::size_t k = 0; k < a.kernels.size(); ++k) {
    SCOPED_TRACE(to_string(static_cast<KernelClass>(k)));
    EXPECT_EQ(a.kernels[k].compute, b.kernels[k].compute);
    EXPECT_EQ(a.kernels[k].memory, b.kernels[k].memory);
    EXPECT_EQ(a.kernels[k].overhead, b.kernels[k].overhead);
    EXPECT_EQ(a.kernels[k].provenance, b.kernels[k].provenance);
  }
  EXPECT_EQ(a.tiling.processors, b.tiling.processors);
  EXPECT_EQ(a.tiling.tiles, b.tiling.tiles);
  EXPECT_EQ(a.tiling.fill, b.tiling.fill);
  EXPECT_EQ(a.tiling.exposed, b.tiling.exposed);
  EXPECT_EQ(a.tiling.intensity, b.tiling.intensity);
  EXPECT_EQ(a.launch, b.launch);
  EXPECT_EQ(a.messaging.collective, b.messaging.collective);
  EXPECT_EQ(a.messaging.first_per_byte, b.messaging.first_per_byte);
  EXPECT_EQ(a.messaging.protocols, b.messaging.protocols);
  EXPECT_EQ(a.messaging.latency, b.messaging.latency);
  EXPECT_EQ(a.messaging.per_message, b.messaging.per_message);
  EXPECT_EQ(a.messaging.send_per_byte, b.messaging.send_per_byte);
  EXPECT_EQ(a.messaging.receive_per_byte, b.messaging.receive_per_byte);
  EXPECT_EQ(a.messaging.reduce_per_byte, b.messaging.reduce_per_byte);
  EXPECT_EQ(a.capacity, b.capacity);
  EXPECT_EQ(a.workspace, b.workspace);
  EXPECT_EQ(a.communicator, b.communicator);
  EXPECT_EQ(a.errors, b.errors);
  EXPECT_EQ(a.price, b.price);
}

Device printed_and_read(const Device& device) {
  const Result<Device> again = parse_device(print_device(device), "printed.yaml");
  EXPECT_TRUE(again.ok()) << format(again.errors());
  return again.ok() ? *again : Device{};
}

// A device as a calibration might find it: no number is round.
Device odd_device() {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> number(1e-3, 1e3);
  const auto seconds = [&](double unit) { return Seconds::seconds(number(random) * unit); };
  const auto flops = [&] { return FlopsPerSecond::flops_per_second(number(random) * 1e9); };
  const auto bytes = [&] { return BytesPerSecond::bytes_per_second(number(random) * 1e9); };
  Device device;
  device.name = "odd";
  device.kind = DeviceKind::cpu;
  device.source = "a \"quoted\" word, a back\\slash: and # no comment";
  device.provenance = Provenance::measured;
  device.memory = Bytes::bytes(123456789);
  device.memory_bandwidth = bytes();
  device.peak[DataType::fp32] = flops();
  device.rates_for = DataType::fp32;
  device.combine = Combine::additive;
  for (KernelRate& rate : device.kernels)
    rate = {flops(), bytes(), seconds(1e-9), std::nullopt};
  device.kernels[1].provenance = Provenance::published;
  device.tiling = {11, {{64, 32}, {16, 16}}, number(random), number(random), number(random)};
  device.launch = seconds(1e-6);
  device.messaging = {
      seconds(1e-6),  seconds(1e-6), seconds(1e-12), Seconds{},
      seconds(1e-12), seconds(1e-6), seconds(1e-12), {{seconds(1e-6), 1e-3 * number(random), 0.5}}};
  device.capacity = {1, number(random)};
  device.workspace = Bytes::bytes(4097);
  device.communicator = Bytes::bytes(8191);
  device.errors = {1e-3 * number(random), 1e-5 * number(random), 0};
  device.price = {1e-3 * number(random)};
  return device;
}

TEST(DeviceProfile, ReadsBackAsPrinted) {
  expect_equal(odd_device(), printed_and_read(odd_device()));
}

TEST(DeviceProfile, NumbersArrive) {
  const Device device = read(testing::kSource / "scenarios/devices/a100-sxm-80gb.yaml");
  EXPECT_EQ(device.kind, DeviceKind::gpu);
  EXPECT_EQ(device.memory, Bytes::gib(80));
  EXPECT_EQ(device.peak.at(DataType::bf16).flops_per_second(), 312e12);
  EXPECT_EQ(device.combine, Combine::roofline);
  EXPECT_EQ(device.provenance, Provenance::published);
  EXPECT_DOUBLE_EQ(rate_of(device, KernelClass::matrix_product).overhead.seconds(), 2e-6);
  EXPECT_EQ(device.tiling.processors, 108);
  EXPECT_EQ(device.tiling.tiles.front(), (Tile{256, 128}));
  EXPECT_EQ(provenance_of(device, KernelClass::convolution), Provenance::assumed);
  EXPECT_EQ(provenance_of(device, KernelClass::matrix_product), Provenance::published);
}

// Tensor cores multiply tf32 half as fast as bf16, on every GPU that has them both.
TEST(DeviceProfile, ProductsInTf32TakeTwiceAsLongAsInBf16) {
  for (const std::string name :
       {"a100-sxm-40gb", "a100-sxm-80gb", "b200-sxm-180gb", "h100-sxm-80gb",
        "h100-sxm-80gb-megatron", "h200-sxm-141gb", "mi300x-192gb"}) {
    Device device = read(testing::kSource / "scenarios/devices" / (name + ".yaml"));
    const FlopsPerSecond in_bf16 = rate_of(device, KernelClass::matrix_product).compute;
    ASSERT_TRUE(set_type(device, DataType::tf32).ok()) << name;
    EXPECT_DOUBLE_EQ(in_bf16 / rate_of(device, KernelClass::matrix_product).compute, 2) << name;
  }
}

// The H100 for Megatron's software is the H100 with the A100's shares of its peaks, and its errors.
TEST(DeviceProfile, H100sOfMegatronAreH100sWithSharesOfA100s) {
  const auto shipped = [](const std::string& name) {
    return read(testing::kSource / "scenarios/devices" / (name + ".yaml"));
  };
  const Device a100 = shipped("a100-sxm-80gb"), megatron = shipped("h100-sxm-80gb-megatron");
  Device h100 = shipped("h100-sxm-80gb");
  for (std::size_t k = 0; k < h100.kernels.size(); ++k) {
    SCOPED_TRACE(to_string(static_cast<KernelClass>(k)));
    const KernelRate &there = a100.kernels[k], &own = megatron.kernels[k];
    const double of_memory = there.memory / a100.memory_bandwidth;
    EXPECT_NEAR(own.memory / megatron.memory_bandwidth, of_memory, 1e-5);
    const auto kernel = static_cast<KernelClass>(k);
    const bool is_product = kernel == KernelClass::convolution ||
                            kernel == KernelClass::matrix_product ||
                            kernel == KernelClass::attention;
    if (is_product) {
      EXPECT_NEAR(own.compute / megatron.peak.at(DataType::bf16),
                  there.compute / a100.peak.at(DataType::bf16), 1e-5);
    } else {
      EXPECT_EQ(own.compute, h100.kernels[k].compute);
    }
    h100.kernels[k] = {own.compute, own.memory, h100.kernels[k].overhead, std::nullopt};
  }
  EXPECT_EQ(megatron.errors, a100.errors);
  h100.name = megatron.name;
  h100.source = megatron.source;
  h100.errors = megatron.errors;
  expect_equal(megatron, h100);
}

class ShippedProfile : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(ShippedProfile, ReadsBackAsPrinted) {
  const Device device = read(GetParam());
  expect_equal(device, printed_and_read(device));
}

TEST_P(ShippedProfile, IsNamedAsItsFileAndSaysItsSource) {
  const Device device = read(GetParam());
  EXPECT_EQ(device.name, GetParam().stem().string());
  EXPECT_FALSE(device.source.empty());
}

// A kernel may be slower than the datasheet, not faster.
TEST_P(ShippedProfile, StaysBelowItsPeaks) {
  const Device device = read(GetParam());
  ASSERT_FALSE(device.peak.empty());
  FlopsPerSecond peak;
  for (const auto& [type, rate] : device.peak)
    peak = std::max(peak, rate);
  for (const KernelRate& rate : device.kernels) {
    EXPECT_LE(rate.compute, peak);
    EXPECT_LE(rate.memory, device.memory_bandwidth);
  }
}

INSTANTIATE_TEST_SUITE_P(Files, ShippedProfile,
                         ::testing::ValuesIn(testing::yaml_files(testing::kSource /
                                                                 "scenarios/devices")),
                         [](const auto& file) { return testing::test_name(file.param); });

}  // namespace
}  // namespace rehearse
