#include <algorithm>

#include "exec/cpu/reference/kernels.h"

namespace rehearse::exec::reference {

template <class Real>
void Kernels<GlobalAveragePool, Real>::forward(const GlobalAveragePool&, const Call<Real>& call) {
  const std::int64_t channels = call.request.output.elements();
  const std::int64_t positions = call.request.inputs[0].elements() / channels;
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const Real* x = call.input(0) + n * positions * channels + c;
      double sum = 0;
      for (std::int64_t p = 0; p < positions; ++p)
        sum += double{x[p * channels]};
      call.output()[n * channels + c] = static_cast<Real>(sum / static_cast<double>(positions));
    }
  }
}

template <class Real>
void Kernels<GlobalAveragePool, Real>::backward(const GlobalAveragePool&, const Call<Real>& call) {
  const std::int64_t channels = call.request.output.elements();
  const std::int64_t positions = call.request.inputs[0].elements() / channels;
  for (std::int64_t row = 0; row < call.samples() * positions; ++row) {
    const Real* dy = call.output_gradient() + row / positions * channels;
    Real* dx = call.input_gradient(0) + row * channels;
    for (std::int64_t c = 0; c < channels; ++c)
      dx[c] = static_cast<Real>(dy[c] / static_cast<Wide<Real>>(positions));
  }
}

namespace {

// Calls visit(output element, first input element of its channel, window's corner) for every output
// position and channel.
struct Window {
  std::int64_t row, column;  // of its corner, which padding may lie in
};
template <class Real, class Visit>
void each_window(const MaxPool& pool, const Call<Real>& call, Visit visit) {
  const Shape &in = call.request.inputs[0], &out = call.request.output;
  const std::int64_t channels = in.dims[2];
  for (std::int64_t n = 0; n < call.samples(); ++n) {
    for (std::int64_t y = 0; y < out.dims[0]; ++y) {
      for (std::int64_t x = 0; x < out.dims[1]; ++x) {
        const Window window{y * pool.stride - pool.padding, x * pool.stride - pool.padding};
        const std::int64_t position = (n * out.dims[0] + y) * out.dims[1] + x;
        for (std::int64_t c = 0; c < channels; ++c)
          visit(position * channels + c, n * in.elements() + c, window);
      }
    }
  }
}

}  // namespace

// The first of several equal ones, in reading order.
template <class Real>
void Kernels<MaxPool, Real>::forward(const MaxPool& pool, const Call<Real>& call) {
  const Shape& in = call.request.inputs[0];
  each_window(pool, call, [&](std::int64_t out, std::int64_t first, const Window& window) {
    std::int64_t place = -1;
    Real largest{};
    for (std::int64_t k = 0; k < pool.kernel * pool.kernel; ++k) {
      const std::int64_t row = window.row + k / pool.kernel,
                         column = window.column + k % pool.kernel;
      if (row < 0 || row >= in.dims[0] || column < 0 || column >= in.dims[1]) continue;
      const Real value = call.input(0)[first + (row * in.dims[1] + column) * in.dims[2]];
      if (place < 0 || value > largest) place = k, largest = value;
    }
    call.output()[out] = largest;
    call.auxiliary(0)[out] = static_cast<Wide<Real>>(place);
  });
}

template <class Real>
void Kernels<MaxPool, Real>::backward(const MaxPool& pool, const Call<Real>& call) {
  const Shape& in = call.request.inputs[0];
  std::vector<double> sums(static_cast<std::size_t>(call.samples() * in.elements()));
  each_window(pool, call, [&](std::int64_t out, std::int64_t first, const Window& window) {
    const auto place = static_cast<std::int64_t>(call.auxiliary(0)[out]);
    const std::int64_t row = window.row + place / pool.kernel;
    const std::int64_t column = window.column + place % pool.kernel;
    const std::int64_t at = first + (row * in.dims[1] + column) * in.dims[2];
    sums[static_cast<std::size_t>(at)] += double{call.output_gradient()[out]};
  });
  store_rounded(sums, call.input_gradient(0));
}

template struct Kernels<MaxPool, float>;
template struct Kernels<MaxPool, double>;
template struct Kernels<MaxPool, BFloat16>;
template struct Kernels<GlobalAveragePool, float>;
template struct Kernels<GlobalAveragePool, double>;
template struct Kernels<GlobalAveragePool, BFloat16>;

}  // namespace rehearse::exec::reference
