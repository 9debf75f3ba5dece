#include "model/cluster/device.h"

#include <gtest/gtest.h>

#include <random>

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

// Four processors that make 2 x 2 tiles at 8 FLOP/s together; memory at 1 GB/s.
Device tiled() {
  Device device;
  device.tiling = {4, {{2, 2}}, 2, 0, 0};
  device.kernels.fill(
      {FlopsPerSecond::flops_per_second(8), BytesPerSecond::gigabytes_per_second(1), Seconds{}});
  return device;
}

Product product(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t count = 1) {
  return {m, n, k, count, Bytes{}};
}

double tiled_seconds_of(const Device& device, const Product& product) {
  return tiled_seconds(device, FlopsPerSecond::flops_per_second(8), product).seconds();
}

TEST(Tiles, AreMadeInWaves) {
  Device device = tiled();
  device.tiling.fill = 20;  // so that shorter sums are no way out
  // 4 x 4 is 4 tiles, one wave: 4 processors x 2 x 2 x 2 FLOP x (10 + 20) steps at 8 FLOP/s.
  EXPECT_DOUBLE_EQ(tiled_seconds_of(device, product(4, 4, 10)), 4 * 8 * 30 / 8.0);
  // One row more is 6 tiles, two waves; 8 x 4 fills the second.
  EXPECT_DOUBLE_EQ(tiled_seconds_of(device, product(5, 4, 10)), 2 * 4 * 8 * 30 / 8.0);
  EXPECT_DOUBLE_EQ(tiled_seconds_of(device, product(8, 4, 10)), 2 * 4 * 8 * 30 / 8.0);
  // Products of one kernel share its waves: 3 of one tile.
  EXPECT_DOUBLE_EQ(tiled_seconds_of(device, product(2, 2, 10, 3)), 4 * 8 * 30 / 8.0);
}

TEST(Tiles, OfALongSumAreCutInSlices) {
  const Device device = tiled();
  // One tile on four processors: 4 slices of 250 steps, and 4 x 2 x 2 sums of 8 bytes at 1 GB/s.
  EXPECT_DOUBLE_EQ(tiled_seconds_of(device, product(2, 2, 1000)), 4 * 8 * 252 / 8.0 + 16 * 8 / 1e9);
}

TEST(Tiles, ThatWaitForOperandsAreSlower) {
  Device device = tiled();
  device.tiling.intensity = 2;  // a 2 x 2 tile has 4 / 4 multiplications per operand: half
  EXPECT_DOUBLE_EQ(tiled_seconds_of(device, product(4, 4, 10)), 2 * 4 * 8 * 12 / 8.0);
  device.tiling.tiles.push_back({4, 4});  // 16 / 8 = 2: whole, one tile on four processors
  EXPECT_LE(tiled_seconds_of(device, product(4, 4, 10)), 2 * 4 * 8 * 12 / 8.0);
}

TEST(Tiles, TakeLongerForMoreAndNeverLessThanTheRate) {
  Device device = tiled();
  device.tiling = {7, {{8, 4}, {4, 4}, {2, 3}}, 3, 0.4, 2};
  std::mt19937_64 random(11);
  std::uniform_int_distribution<std::int64_t> extent(1, 60);
  for (int i = 0; i < 300; ++i) {
    const Product one = product(extent(random), extent(random), extent(random), extent(random));
    const double seconds = tiled_seconds_of(device, one);
    EXPECT_GE(seconds, one.flops().flops() / 8);
    for (std::int64_t Product::*field : {&Product::m, &Product::n, &Product::k, &Product::count}) {
      Product more = one;
      more.*field += extent(random);
      EXPECT_GE(tiled_seconds_of(device, more), seconds);
    }
  }
}

TEST(Price, OfAProductHidesAllButAShareOfTheShorter) {
  Device device = tiled();
  device.tiling.exposed = 0.25;
  // 48 s of tiles; 12 10^9 bytes take 12 s, 96 10^9 bytes 96 s.
  const auto price_of = [&](std::int64_t bytes) {
    const std::vector<Product> products = {{4, 4, 10, 1, Bytes::bytes(bytes)}};
    return price(device, KernelClass::matrix_product, products[0].flops(), Bytes::bytes(bytes),
                 products)
        .seconds();
  };
  EXPECT_DOUBLE_EQ(price_of(12'000'000'000), 48 + 0.25 * 12);
  EXPECT_DOUBLE_EQ(price_of(96'000'000'000), 96 + 0.25 * 48);
}

// Two products, and a kernel for the 3 10^9 bytes that are not theirs.
TEST(Price, OfPlainAttentionIsThatOfItsKernels) {
  Device device = tiled();
  for (KernelRate& rate : device.kernels)
    rate.overhead = Seconds::seconds(1);
  const Bytes own = Bytes::bytes(1'000'000'000);
  const std::vector<Product> products = {{4, 4, 10, 1, own}, {4, 4, 10, 1, own}};
  EXPECT_DOUBLE_EQ(price(device, KernelClass::attention, Flops{}, 5 * own, products).seconds(),
                   2 * (48 + 1) + 3 + 1);
}

// One product of 1 10^9 bytes, and a kernel behind it that moves 2 10^9 more.
TEST(Price, OfAProductHasWhatIsMovedBehindIt) {
  Device device = tiled();
  for (KernelRate& rate : device.kernels)
    rate.overhead = Seconds::seconds(1);
  const Bytes own = Bytes::bytes(1'000'000'000);
  const std::vector<Product> products = {{4, 4, 10, 1, own}};
  EXPECT_DOUBLE_EQ(price(device, KernelClass::matrix_product, Flops{}, 3 * own, products).seconds(),
                   (48 + 1) + 2 + 1);
}

// Blocks of 128 queries of 3 heads: 300 rows are 3 x 3 blocks, three waves of four.
TEST(Price, OfFusedAttentionIsMadeInWaves) {
  const Device device = tiled();
  Product of_heads = product(300, 10, 10, 3);
  of_heads.fused = true;
  const std::vector<Product> products = {of_heads};
  EXPECT_DOUBLE_EQ(price(device, KernelClass::attention, Flops{}, Bytes{}, products).seconds(),
                   of_heads.flops().flops() / 8 * 12 / 9);
}

// Attention in fp8 multiplies in bf16.
TEST(SetType, LeavesAttentionInBf16WhereProductsAreFp8) {
  Device device;
  device.rates_for = DataType::fp16;
  device.peak[DataType::fp16] = device.peak[DataType::bf16] =
      FlopsPerSecond::teraflops_per_second(100);
  device.peak[DataType::fp8] = FlopsPerSecond::teraflops_per_second(200);
  for (KernelRate& rate : device.kernels)
    rate.compute = FlopsPerSecond::teraflops_per_second(50);
  ASSERT_TRUE(set_type(device, DataType::fp8).ok());
  EXPECT_EQ(rate_of(device, KernelClass::matrix_product).compute,
            FlopsPerSecond::teraflops_per_second(100));
  EXPECT_EQ(rate_of(device, KernelClass::attention).compute,
            FlopsPerSecond::teraflops_per_second(50));
}

}  // namespace
}  // namespace rehearse
