// What queues do with kernels of their own.
#include <cstdint>
#include <cub/device/device_radix_sort.cuh>

#include "exec/cuda/launch.cuh"
#include "exec/cuda/ops/elementwise.h"
#include "model/base/bfloat16.h"

namespace rehearse::exec::cuda {
namespace {

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

// Of what the product has become without its epilogue: X, or the gradient in C.
template <class Real>
void finish_gelu(CudaQueue& queue, const Product& product) {
  using G = Op<Gelu, Real>;
  using W = Wide<Real>;
  auto* const c = static_cast<Real*>(product.c);
  const auto* const x = static_cast<const Real*>(product.x);
  const std::int64_t n = product.n, row = product.c_row;
  const bool is_forward = product.epilogue == Epilogue::gelu;
  queue.each(product.m * n, [=] __device__(std::int64_t i) {
    const std::int64_t at = i / n * row + i % n;
    const W v = static_cast<W>(x[at]);
    c[at] = static_cast<Real>(is_forward ? G::value(GeluForm::tanh, v)
                                         : static_cast<W>(c[at]) * G::slope(GeluForm::tanh, v));
  });
}

}  // namespace

// What the library has no one kernel for comes after, in a kernel of its own: in bf16 on what was
// rounded.
void CudaQueue::product(const Product& product) {
  std::byte* const workspace = scratch(products_.workspace_bytes(), kProductSlot);
  const bool is_plain = product.bias == nullptr && product.epilogue == Epilogue::none;
  if (is_plain || products_.is_possible(product)) return products_.run(product, workspace, stream_);
  Product before = product;
  const auto after = [&](auto of_bf16, auto of_fp32, auto of_fp64) {
    this->product(before);
    if (product.out == Element::bf16) return of_bf16(*this, product);
    if (product.out == Element::fp64) return of_fp64(*this, product);
    of_fp32(*this, product);
  };
  if (product.epilogue == Epilogue::none) {
    before.bias = nullptr;
    return after(add_bias<BFloat16>, add_bias<float>, add_bias<double>);
  }
  before.epilogue = Epilogue::none;
  if (product.epilogue == Epilogue::gelu) before.c = product.x;
  after(finish_gelu<BFloat16>, finish_gelu<float>, finish_gelu<double>);
}

bool CudaQueue::has_product(const Product& product) {
  return products_.is_possible(product);
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
