#include "model/cluster/device.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/base/check.h"
#include "model/base/text.h"

namespace rehearse {

std::string_view to_string(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::gpu:
      return "gpu";
  }
  REHEARSE_UNREACHABLE("device kind");
}

std::string_view to_string(Combine combine) {
  switch (combine) {
    case Combine::roofline:
      return "roofline";
    case Combine::additive:
      return "additive";
  }
  REHEARSE_UNREACHABLE("combine");
}

std::string_view to_string(Provenance provenance) {
  switch (provenance) {
    case Provenance::measured:
      return "measured";
    case Provenance::published:
      return "published";
    case Provenance::assumed:
      return "assumed";
  }
  REHEARSE_UNREACHABLE("provenance");
}

std::optional<HourlyPrice> parse_hourly_price(std::string_view text) {
  constexpr std::string_view kUnit = "USD/h";
  if (!text.ends_with(kUnit)) return std::nullopt;
  const std::string_view amount = text.substr(0, text.size() - kUnit.size());
  const auto dollars = parse_number(trim(amount));
  if (!dollars || *dollars < 0 || !amount.ends_with(' ')) return std::nullopt;
  return HourlyPrice{*dollars};
}

Status set_type(Device& device, DataType type) {
  if (!device.rates_for || *device.rates_for == type) return success();
  const DataType of_attention = type == DataType::fp8 ? DataType::bf16 : type;
  for (const DataType needed : {*device.rates_for, type, of_attention}) {
    if (device.peak.contains(needed)) continue;
    return error(
        fmt::format("device '{}' has kernel rates for {} and no peak for {}: nothing says "
                    "how fast it trains in {}",
                    device.name, to_string(*device.rates_for), to_string(needed), to_string(type)));
  }
  const auto scale = [&](KernelClass kernel, DataType to) {
    KernelRate& rate = device.kernels[static_cast<std::size_t>(kernel)];
    rate.compute = rate.compute * (device.peak.at(to) / device.peak.at(*device.rates_for));
  };
  scale(KernelClass::convolution, type);
  scale(KernelClass::matrix_product, type);
  scale(KernelClass::attention, of_attention);
  device.rates_for = type;
  return success();
}

const KernelRate& rate_of(const Device& device, KernelClass kernel) {
  return device.kernels[static_cast<std::size_t>(kernel)];
}

Provenance provenance_of(const Device& device, KernelClass kernel) {
  return rate_of(device, kernel).provenance.value_or(device.provenance);
}

namespace {

constexpr std::int64_t kMostSlices = 32;

std::int64_t ceiling(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// What does not happen costs nothing, whether or not its rate is known.
Seconds compute_seconds(const KernelRate& rate, Flops flops) {
  return flops > Flops{} ? flops / rate.compute : Seconds{};
}
Seconds memory_seconds(const KernelRate& rate, Bytes traffic) {
  return traffic > Bytes{} ? traffic / rate.memory : Seconds{};
}

Seconds combined(const Device& device, Seconds compute, Seconds memory) {
  switch (device.combine) {
    case Combine::roofline:
      return std::max(compute, memory);
    case Combine::additive:
      return compute + memory;
  }
  REHEARSE_UNREACHABLE("combine");
}

// One kernel, in which each processor has kFusedRows queries of a head at a time.
Seconds price_fused(const Device& device, const KernelRate& rate, Bytes traffic,
                    std::span<const Product> products) {
  Flops flops;
  for (const Product& product : products)
    flops += product.flops();
  const std::int64_t blocks = products[0].count * ceiling(products[0].m, kFusedRows);
  const std::int64_t waves = ceiling(blocks, device.tiling.processors);
  const double stretch =
      static_cast<double>(waves * device.tiling.processors) / static_cast<double>(blocks);
  return combined(device, compute_seconds(rate, flops) * stretch, memory_seconds(rate, traffic)) +
         rate.overhead;
}

// Each product a kernel, and one behind them that reads and writes what they do not.
Seconds price_products(const Device& device, KernelClass kernel, Bytes traffic,
                       std::span<const Product> products) {
  const KernelRate& own = rate_of(device, kernel);
  const KernelRate& multiplies =
      kernel == KernelClass::attention ? rate_of(device, KernelClass::matrix_product) : own;
  Seconds sum;
  for (const Product& product : products) {
    const Seconds compute = tiled_seconds(device, multiplies.compute, product),
                  memory = memory_seconds(multiplies, product.traffic);
    sum += std::max(compute, memory) + device.tiling.exposed * std::min(compute, memory) +
           multiplies.overhead;
    traffic = traffic > product.traffic ? traffic - product.traffic : Bytes{};
  }
  if (traffic > Bytes{}) sum += memory_seconds(own, traffic) + own.overhead;
  return sum;
}

}  // namespace

Seconds tiled_seconds(const Device& device, FlopsPerSecond rate, const Product& product) {
  const Tiling& tiling = device.tiling;
  const BytesPerSecond memory = rate_of(device, KernelClass::matrix_product).memory;
  std::optional<Seconds> fastest;
  for (const Tile& tile : tiling.tiles) {
    const double m = static_cast<double>(tile.m), n = static_cast<double>(tile.n);
    const double share =
        tiling.intensity > 0 ? std::min(1.0, m * n / (m + n) / tiling.intensity) : 1;
    const std::int64_t tiles =
        product.count * ceiling(product.m, tile.m) * ceiling(product.n, tile.n);
    for (std::int64_t slices = 1; slices <= kMostSlices; slices *= 2) {
      const std::int64_t waves = ceiling(tiles * slices, tiling.processors);
      const double steps = static_cast<double>(ceiling(product.k, slices)) + tiling.fill;
      const Flops of_waves =
          Flops::flops(static_cast<double>(waves * tiling.processors) * 2 * m * n * steps);
      Seconds seconds = of_waves / (rate * share);
      // Sums in fp32, written and read again.
      if (slices > 1)
        seconds += Bytes::bytes(8 * slices * product.count * product.m * product.n) / memory;
      if (!fastest || seconds < *fastest) fastest = seconds;
    }
  }
  return fastest.value_or(product.flops() / rate);
}

Seconds price(const Device& device, KernelClass kernel, Flops flops, Bytes traffic,
              std::span<const Product> products) {
  const KernelRate& rate = rate_of(device, kernel);
  if (!products.empty() && device.tiling.processors > 0) {
    return products[0].fused ? price_fused(device, rate, traffic, products)
                             : price_products(device, kernel, traffic, products);
  }
  return combined(device, compute_seconds(rate, flops), memory_seconds(rate, traffic)) +
         rate.overhead;
}

}  // namespace rehearse
