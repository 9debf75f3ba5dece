// What queues do with kernels of their own.
#include <cstdint>
#include <cub/device/device_radix_sort.cuh>

#include "exec/cuda/launch.cuh"
#include "model/base/bfloat16.h"

namespace rehearse::exec::cuda {
namespace {

// The library reads 16 bytes of a bias at a time.
bool is_aligned(const void* bias) {
  return reinterpret_cast<std::uintptr_t>(bias) % 16 == 0;
}

template <class Real>
void add_bias(CudaQueue& queue, const Product& product) {
  auto* const c = static_cast<Real*>(product.c);
  const auto* const bias = static_cast<const Real*>(product.bias);
  const std::int64_t n = product.n, row = product.c_row;
  queue.each(product.m * n, [=] __device__(std::int64_t i) {
    const std::int64_t at = i / n * row + i % n;
    c[at] =
        static_cast<Real>(static_cast<Wide<Real>>(c[at]) + static_cast<Wide<Real>>(bias[i % n]));
  });
}

}  // namespace

// A bias that the library cannot add comes after: in bf16 to what was rounded.
void CudaQueue::product(const Product& product) {
  std::byte* const workspace = scratch(products_.workspace_bytes(), kProductSlot);
  const bool is_one =
      product.bias == nullptr || (is_aligned(product.bias) && products_.is_possible(product));
  if (is_one) return products_.run(product, workspace, stream_);
  Product plain = product;
  plain.bias = nullptr;
  products_.run(plain, workspace, stream_);
  if (product.out == Element::bf16) return add_bias<BFloat16>(*this, product);
  if (product.out == Element::fp64) return add_bias<double>(*this, product);
  add_bias<float>(*this, product);
}

void CudaQueue::sort(const std::int32_t* keys, std::int32_t* sorted, std::int32_t* places,
                     std::int64_t n) {
  // Its places before they are sorted, then what the library needs.
  const auto values_bytes = static_cast<std::size_t>(n) * sizeof(std::int32_t);
  const std::size_t aligned = (values_bytes + 255) / 256 * 256;
  std::size_t library = 0;
  REHEARSE_CUDA(cub::DeviceRadixSort::SortPairs(nullptr, library, keys, sorted, places, places, n));
  std::byte* const memory = scratch(aligned + library, 0);
  auto* const before = reinterpret_cast<std::int32_t*>(memory);
  each(n, [=] __device__(std::int64_t i) { before[i] = static_cast<std::int32_t>(i); });
  REHEARSE_CUDA(cub::DeviceRadixSort::SortPairs(memory + aligned, library, keys, sorted, before,
                                                places, n, 0, 32, stream_));
}

}  // namespace rehearse::exec::cuda
