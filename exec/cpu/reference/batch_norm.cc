// Batch norm with the statistics of the micro-batch (Ioffe and Szegedy, arXiv 1502.03167).
//
// Per channel, with m values x, mean mu, biased variance s2 and xh = (x - mu) / sqrt(s2 + eps):
//   y = scale xh + shift                                                     (algorithm 1)
//   d shift = sum dy,  d scale = sum dy xh
//   dx = scale / sqrt(s2 + eps) (dy - d shift / m - xh d scale / m)          (section 3, collected)
#include <cmath>

#include "exec/cpu/reference/kernels.h"

namespace rehearse::exec::reference {
namespace {

// Sum over the m rows of one channel.
template <class Term>
double sum_rows(std::int64_t rows, Term term) {
  double sum = 0;
  for (std::int64_t row = 0; row < rows; ++row)
    sum += term(row);
  return sum;
}

template <class Real>
struct Normalised {
  const Real* x;
  std::int64_t channels, channel;
  double mean, inverse_deviation;
  double operator()(std::int64_t row) const {
    return (double{x[row * channels + channel]} - mean) * inverse_deviation;
  }
};

template <class Real>
Normalised<Real> normalised(const BatchNorm& norm, const Call<Real>& call, std::int64_t channel) {
  const double variance = double{call.auxiliary(1)[channel]};
  return {call.input(0), norm.channels, channel, double{call.auxiliary(0)[channel]},
          1 / std::sqrt(variance + kNormEpsilon)};
}

}  // namespace

template <class Real>
void Kernels<BatchNorm, Real>::forward(const BatchNorm& norm, const Call<Real>& call) {
  const std::int64_t m = call.rows(0), channels = norm.channels;
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto x = [&](std::int64_t row) { return double{call.input(0)[row * channels + c]}; };
    const double mean = sum_rows(m, x) / static_cast<double>(m);
    const auto square = [&](std::int64_t row) { return (x(row) - mean) * (x(row) - mean); };
    call.auxiliary(0)[c] = static_cast<Wide<Real>>(mean);
    call.auxiliary(1)[c] = static_cast<Wide<Real>>(sum_rows(m, square) / static_cast<double>(m));
    const auto xh = normalised(norm, call, c);
    const double scale = double{call.parameter(0)[c]}, shift = double{call.parameter(1)[c]};
    for (std::int64_t row = 0; row < m; ++row) {
      call.output()[row * channels + c] = static_cast<Real>(scale * xh(row) + shift);
    }
  }
}

template <class Real>
void Kernels<BatchNorm, Real>::backward(const BatchNorm& norm, const Call<Real>& call) {
  const std::int64_t rows = call.rows(0), channels = norm.channels;
  const auto m = static_cast<double>(rows);
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto xh = normalised(norm, call, c);
    const auto dy = [&](std::int64_t row) {
      return double{call.output_gradient()[row * channels + c]};
    };
    const double d_shift = sum_rows(rows, dy);
    const double d_scale = sum_rows(rows, [&](std::int64_t row) { return dy(row) * xh(row); });
    if (call.trains()) {
      call.give_gradient(0, c, d_scale);
      call.give_gradient(1, c, d_shift);
    }
    Real* dx = call.input_gradient(0);
    if (dx == nullptr) continue;
    const double factor = double{call.parameter(0)[c]} * xh.inverse_deviation;
    for (std::int64_t row = 0; row < rows; ++row) {
      const double centred = dy(row) - d_shift / m - xh(row) * d_scale / m;
      dx[row * channels + c] = static_cast<Real>(factor * centred);
    }
  }
}

template struct Kernels<BatchNorm, float>;
template struct Kernels<BatchNorm, double>;
template struct Kernels<BatchNorm, BFloat16>;

}  // namespace rehearse::exec::reference
