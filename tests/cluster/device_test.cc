#include "model/cluster/device.h"

#include <gtest/gtest.h>

namespace rehearse {
namespace {

// Matrix products: 2 GFLOP/s, 4 GB/s, 3 us.
Device device(Combine combine) {
  Device device;
  device.combine = combine;
  device.kernels[static_cast<std::size_t>(KernelClass::matrix_product)] = {
      FlopsPerSecond::flops_per_second(2e9), BytesPerSecond::gigabytes_per_second(4),
      Seconds::microseconds(3)};
  return device;
}

double seconds(Combine combine, double flops, std::int64_t bytes) {
  return price(device(combine), KernelClass::matrix_product, Flops::flops(flops),
               Bytes::bytes(bytes))
      .seconds();
}

TEST(Price, OfARooflineIsTheLongerOfTheTwo) {
  // 10^9 FLOP take 0.5 s; 10^9 bytes 0.25 s, 8 10^9 bytes 2 s.
  EXPECT_DOUBLE_EQ(seconds(Combine::roofline, 1e9, 1'000'000'000), 0.5 + 3e-6);
  EXPECT_DOUBLE_EQ(seconds(Combine::roofline, 1e9, 8'000'000'000), 2 + 3e-6);
  // At the ridge, FLOPs / bytes = 2 / 4, both are equal.
  EXPECT_DOUBLE_EQ(seconds(Combine::roofline, 1e9, 2'000'000'000), 0.5 + 3e-6);
}

TEST(Price, OfAnAdditiveDeviceIsTheSum) {
  EXPECT_DOUBLE_EQ(seconds(Combine::additive, 1e9, 1'000'000'000), 0.5 + 0.25 + 3e-6);
}

TEST(Price, OfNothingIsTheOverhead) {
  EXPECT_DOUBLE_EQ(seconds(Combine::roofline, 0, 0), 3e-6);
  // A class without rates: what does not happen divides by nothing.
  EXPECT_EQ(price(device(Combine::additive), KernelClass::copy, Flops{}, Bytes{}), Seconds{});
}

TEST(Price, GrowsWithWorkUnderEitherRule) {
  for (const Combine combine : {Combine::roofline, Combine::additive}) {
    EXPECT_LE(seconds(combine, 1e6, 1000), seconds(combine, 2e6, 1000));
    EXPECT_LE(seconds(combine, 1e6, 1000), seconds(combine, 1e6, 100'000'000));
    // max(a, b) <= a + b <= 2 max(a, b)
    EXPECT_LE(seconds(Combine::roofline, 1e6, 1000), seconds(Combine::additive, 1e6, 1000));
  }
}

// Tensor cores serve products; the rest is bound by memory in every type.
TEST(SetType, ScalesProductsWithThePeak) {
  Device device;
  device.rates_for = DataType::bf16;
  device.peak[DataType::bf16] = FlopsPerSecond::teraflops_per_second(320);
  device.peak[DataType::fp32] = FlopsPerSecond::teraflops_per_second(20);
  for (KernelRate& rate : device.kernels)
    rate.compute = FlopsPerSecond::teraflops_per_second(160);
  ASSERT_TRUE(set_type(device, DataType::fp32).ok());
  EXPECT_EQ(rate_of(device, KernelClass::matrix_product).compute,
            FlopsPerSecond::teraflops_per_second(10));
  EXPECT_EQ(rate_of(device, KernelClass::elementwise).compute,
            FlopsPerSecond::teraflops_per_second(160));
  EXPECT_FALSE(set_type(device, DataType::fp64).ok()) << "there is no peak";
  device.rates_for.reset();
  EXPECT_TRUE(set_type(device, DataType::fp64).ok()) << "for whatever type";
}

}  // namespace
}  // namespace rehearse
