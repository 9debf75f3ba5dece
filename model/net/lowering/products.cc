#include "model/net/lowering/products.h"

#include <algorithm>

namespace rehearse::lowering {
namespace {

Product product(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t count,
                const ElementSizes& sizes) {
  return {m, n, k, count, Bytes::bytes(count * (m * k + k * n + m * n) * sizes.activation_bytes)};
}

// Summed to what is there, or written alone.
Product weight_gradient(std::int64_t m, std::int64_t n, std::int64_t k, Bytes operands,
                        const ElementSizes& sizes, bool sums = true) {
  return {m, n, k, 1, operands + Bytes::bytes((sums ? 2 : 1) * m * n * sizes.gradient_bytes)};
}

// A network's attention says whose kernels run all of it.
bool is_ours(const Net& net) {
  for (const Layer& layer : net.layers) {
    if (const auto* attention = std::get_if<Attention>(&layer.spec))
      return attention->kernels == Kernels::own;
  }
  return true;
}

constexpr std::int64_t kFp32 = 4;
bool sums_itself(const Net& net, const ElementSizes& sizes) {
  return sizes.gradient_bytes == kFp32 || is_ours(net);
}

bool has(KernelKind kind, KernelKind one) {
  return kind == one || (kind == KernelKind::backward && one != KernelKind::forward);
}

// y = x W^T; dx = dy W; dW = dy^T x. In each the third extent is what is summed over.
std::vector<Product> of_linear(const Net& net, const Linear& linear, std::int64_t rows,
                               KernelKind kind, const ElementSizes& sizes) {
  const std::int64_t in = linear.in_features, out = linear.out_features;
  std::vector<Product> products;
  if (has(kind, KernelKind::forward)) products.push_back(product(rows, out, in, 1, sizes));
  if (has(kind, KernelKind::backward_input)) products.push_back(product(rows, in, out, 1, sizes));
  if (has(kind, KernelKind::backward_weight)) {
    const Bytes operands = Bytes::bytes(rows * (in + out) * sizes.activation_bytes);
    products.push_back(weight_gradient(out, in, rows, operands, sizes, sums_itself(net, sizes)));
  }
  return products;
}

std::int64_t rows_of(const Net& net, const Layer& layer, const Linear& linear,
                     std::int64_t samples) {
  return samples * net.values[layer.inputs[0].index()].shape.elements() / linear.in_features;
}

// Rows are positions: of the output forward, of the input for its gradient, where a stride leaves
// out all but 1 / stride^2 of the kernel's places; for the weights' gradient they are summed over.
// Tensors are read once, not once for each place of the kernel.
std::vector<Product> of_convolution(const Conv2d& c, const Shape& input, const Shape& output,
                                    std::int64_t samples, KernelKind kind,
                                    const ElementSizes& sizes) {
  const std::int64_t places = c.kernel * c.kernel, strides = c.stride * c.stride;
  const std::int64_t positions = samples * output.dims[0] * output.dims[1];
  const Bytes images =
      Bytes::bytes(sizes.activation_bytes * samples * (input.elements() + output.elements()));
  const Bytes traffic =
      images + Bytes::bytes(sizes.activation_bytes * c.out_channels * places * c.in_channels);
  const auto made = [&](std::int64_t m, std::int64_t n, std::int64_t k) {
    return Product{m, n, k, 1, traffic};
  };
  std::vector<Product> products;
  if (has(kind, KernelKind::forward))
    products.push_back(made(positions, c.out_channels, places * c.in_channels));
  if (has(kind, KernelKind::backward_input)) {
    const std::int64_t summed = (places + strides - 1) / strides * c.out_channels;
    products.push_back(made(positions * strides, c.in_channels, summed));
  }
  if (has(kind, KernelKind::backward_weight)) {
    products.push_back(
        weight_gradient(c.out_channels, places * c.in_channels, positions, images, sizes));
  }
  return products;
}

// Of the keys that a query sees, in whole blocks: all, or half of them and its own block.
std::int64_t keys_seen(std::int64_t t, bool causal) {
  return causal ? std::min(t, (t + kFusedRows) / 2) : t;
}

std::vector<Product> of_attention(const Attention& a, std::int64_t t, std::int64_t samples,
                                  KernelKind kind, const ElementSizes& sizes) {
  const std::int64_t count = samples * a.heads, d = a.head_size;
  if (a.fused) {
    const std::int64_t keys = keys_seen(t, a.causal);
    Product scores = product(t, keys, d, count, sizes), values = product(t, d, keys, count, sizes);
    scores.fused = values.fused = true;
    // Backward computes the scores again, and gradients of probabilities, values, keys, queries.
    if (kind == KernelKind::forward) return {scores, values};
    return {scores, scores, values, values, values};
  }
  const Product scores = product(t, t, d, count, sizes), values = product(t, d, t, count, sizes);
  if (kind == KernelKind::forward) return {scores, values};
  return {scores, values, values, values};
}

}  // namespace

std::vector<Product> products_of(const Net& net, const KernelStep& step, std::int64_t samples,
                                 const ElementSizes& sizes) {
  const Layer& layer = net.layers[step.layer.index()];
  const auto shape = [&](ValueId value) -> const Shape& { return net.values[value.index()].shape; };
  if (const auto* linear = std::get_if<Linear>(&layer.spec)) {
    return of_linear(net, *linear, rows_of(net, layer, *linear, samples), step.kind, sizes);
  }
  if (const auto* conv = std::get_if<Conv2d>(&layer.spec)) {
    return of_convolution(*conv, shape(layer.inputs[0]), shape(layer.output), samples, step.kind,
                          sizes);
  }
  if (const auto* attention = std::get_if<Attention>(&layer.spec)) {
    const std::int64_t t = shape(layer.inputs[0]).dims[0];
    return of_attention(*attention, t, samples, step.kind, sizes);
  }
  return {};
}

Bytes moved_behind(const Net& net, const KernelStep& step, std::int64_t samples,
                   const ElementSizes& sizes) {
  const Layer& layer = net.layers[step.layer.index()];
  const auto* linear = std::get_if<Linear>(&layer.spec);
  if (linear == nullptr || !has(step.kind, KernelKind::backward_weight) || is_ours(net)) return {};
  const std::int64_t weights = linear->in_features * linear->out_features;
  const std::int64_t added = sums_itself(net, sizes) ? 0 : 3 * weights * sizes.gradient_bytes;
  const std::int64_t of_bias =
      linear->bias ? rows_of(net, layer, *linear, samples) * linear->out_features : 0;
  return Bytes::bytes(added + of_bias * sizes.activation_bytes);
}

}  // namespace rehearse::lowering
