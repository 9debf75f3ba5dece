#include "tests/exec/cuda/host_queues.h"

#include <algorithm>

#include "exec/cuda/attention_graph.h"
#include "exec/cuda/ops/elementwise.h"
#include "model/base/check.h"
#include "tests/exec/cuda/host_graph.h"

namespace rehearse::exec::cuda {
namespace {

double element_of(const Product& p, const Product::Operand& operand, std::int64_t batch,
                  std::int64_t row, std::int64_t column) {
  if (operand.transposed) std::swap(row, column);
  return number_at(p.in, operand.at, batch * operand.next + row * operand.row + column);
}

// What the epilogue makes of an element, in double: what it stores beside is rounded, what it goes
// on with is not.
double finished(const Product& p, std::int64_t at, double x) {
  switch (p.epilogue) {
    case Epilogue::none:
      return x;
    case Epilogue::gelu:
      set_number(p.out, p.x, at, x);
      return Op<Gelu, double>::value(GeluForm::tanh, x);
    case Epilogue::gelu_gradient:
      return x * Op<Gelu, double>::slope(GeluForm::tanh, number_at(p.out, p.x, at));
  }
  REHEARSE_UNREACHABLE("epilogue");
}

void sort_pairs(const std::int32_t* keys, std::int32_t* sorted, std::int32_t* places,
                std::int64_t n) {
  std::iota(places, places + n, 0);
  std::stable_sort(places, places + n,
                   [&](std::int32_t a, std::int32_t b) { return keys[a] < keys[b]; });
  std::transform(places, places + n, sorted, [&](std::int32_t place) { return keys[place]; });
}

void multiply(const Product& p) {
  for (std::int64_t batch = 0; batch < p.batch; ++batch) {
    for (std::int64_t i = 0; i < p.m; ++i) {
      for (std::int64_t j = 0; j < p.n; ++j) {
        double sum = 0;
        for (std::int64_t k = 0; k < p.k; ++k)
          sum += element_of(p, p.a, batch, i, k) * element_of(p, p.b, batch, k, j);
        const std::int64_t at = batch * p.c_next + i * p.c_row + j;
        // What is overwritten may be a NaN.
        const double before = p.beta == 0 ? 0 : p.beta * number_at(p.out, p.c, at);
        const double bias = p.bias == nullptr ? 0 : number_at(p.in, p.bias, j);
        set_number(p.out, p.c, at, finished(p, at, p.alpha * sum + before + bias));
      }
    }
  }
}

void slide(const Convolution& c) {
  const Conv2d& shape = c.shape;
  const bool of_weights = c.pass == ConvolutionPass::backward_weight;
  const std::int64_t inputs = c.samples * c.height * c.width * shape.in_channels;
  const std::int64_t outputs = c.samples * c.out_height * c.out_width * shape.out_channels;
  const std::int64_t weights = shape.out_channels * shape.kernel * shape.kernel * shape.in_channels;
  std::vector<double> result(static_cast<std::size_t>(of_weights ? weights
                                                      : c.pass == ConvolutionPass::forward
                                                          ? outputs
                                                          : inputs));
  const auto number = [&](const void* memory, std::int64_t at) {
    return number_at(c.element, memory, at);
  };
  // Of every output and tap: places of y, of x and of w.
  for (std::int64_t y = 0; y < outputs; ++y) {
    const std::int64_t o = y % shape.out_channels, column = y / shape.out_channels % c.out_width;
    const std::int64_t row = y / shape.out_channels / c.out_width % c.out_height;
    const std::int64_t n = y / shape.out_channels / c.out_width / c.out_height;
    for (std::int64_t tap = 0; tap < shape.kernel * shape.kernel; ++tap) {
      const std::int64_t from_row = row * shape.stride - shape.padding + tap / shape.kernel;
      const std::int64_t from_column = column * shape.stride - shape.padding + tap % shape.kernel;
      if (from_row < 0 || from_row >= c.height || from_column < 0 || from_column >= c.width)
        continue;
      for (std::int64_t i = 0; i < shape.in_channels; ++i) {
        const std::int64_t x =
            ((n * c.height + from_row) * c.width + from_column) * shape.in_channels + i;
        const std::int64_t w = (o * shape.kernel * shape.kernel + tap) * shape.in_channels + i;
        switch (c.pass) {
          case ConvolutionPass::forward:
            result[static_cast<std::size_t>(y)] += number(c.first, x) * number(c.second, w);
            break;
          case ConvolutionPass::backward_input:
            result[static_cast<std::size_t>(x)] += number(c.first, y) * number(c.second, w);
            break;
          case ConvolutionPass::backward_weight:
            result[static_cast<std::size_t>(w)] += number(c.first, x) * number(c.second, y);
            break;
        }
      }
    }
  }
  for (std::int64_t at = 0; at < std::ssize(result); ++at) {
    const double before = c.adds ? number(c.result, at) : 0;
    set_number(c.element, c.result, at, before + result[static_cast<std::size_t>(at)]);
  }
}

}  // namespace

void HostQueue::sort(const std::int32_t* keys, std::int32_t* sorted, std::int32_t* places,
                     std::int64_t n) {
  run([=] { sort_pairs(keys, sorted, places, n); });
}

void HostQueue::product(const Product& product) {
  run([product] { multiply(product); });
}

void HostQueue::convolve(const Convolution& convolution) {
  run([convolution] { slide(convolution); });
}

void HostQueue::attend(const FusedAttention& a) {
  const auto rows = static_cast<std::size_t>(a.samples * a.queries.heads * a.positions);
  std::byte* const room = scratch(rows * sizeof(double), 1);
  run([a, room] {
    const AttentionGraph it = attention_graph(a, a.samples);
    run_on_host(it.graph, it.operands, operands_of(a, 0, room), a.element);
  });
}

}  // namespace rehearse::exec::cuda
