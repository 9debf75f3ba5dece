// Layer norm (Ba, Kiros, Hinton, arXiv 1607.06450) and RMS norm (Zhang, Sennrich, arXiv
// 1910.07467), which is layer norm without the mean.
//
// Per row of n values, with xh = (x - mean) inverse: y = scale xh (+ shift), and with h = dy scale
//   dx = inverse (h - sum h / n - xh sum(h xh) / n),    the middle term only with a mean
//   d scale = sum over rows of dy xh,  d shift = sum over rows of dy
#include <cmath>

#include "exec/cpu/reference/kernels.h"

namespace rehearse::exec::reference {
namespace {

// The two norms as one: where the statistics lie, and whether there are a mean and a shift.
template <class Real>
struct Rows {
  const Call<Real>& call;
  std::int64_t width;
  bool centred;

  Wide<Real>& inverse(std::int64_t row) const { return call.auxiliary(centred ? 1 : 0)[row]; }
  double mean(std::int64_t row) const { return centred ? double{call.auxiliary(0)[row]} : 0.0; }
  double x(std::int64_t row, std::int64_t i) const {
    return double{call.input(0)[row * width + i]};
  }
  double xh(std::int64_t row, std::int64_t i) const {
    return (x(row, i) - mean(row)) * double{inverse(row)};
  }
  double dy(std::int64_t row, std::int64_t i) const {
    return double{call.output_gradient()[row * width + i]};
  }
  double scale(std::int64_t i) const { return double{call.parameter(0)[i]}; }
  double shift(std::int64_t i) const { return centred ? double{call.parameter(1)[i]} : 0.0; }
};

template <class Term>
double mean_of(std::int64_t n, Term term) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i)
    sum += term(i);
  return sum / static_cast<double>(n);
}

template <class Real>
void forward_rows(const Rows<Real>& rows) {
  const std::int64_t n = rows.width;
  for (std::int64_t row = 0; row < rows.call.rows(0); ++row) {
    if (rows.centred) {
      rows.call.auxiliary(0)[row] =
          static_cast<Wide<Real>>(mean_of(n, [&](std::int64_t i) { return rows.x(row, i); }));
    }
    const double square = mean_of(n, [&](std::int64_t i) {
      const double centred = rows.x(row, i) - rows.mean(row);
      return centred * centred;
    });
    rows.inverse(row) = static_cast<Wide<Real>>(1 / std::sqrt(square + kNormEpsilon));
    Real* y = rows.call.output() + row * n;
    for (std::int64_t i = 0; i < n; ++i) {
      y[i] = static_cast<Real>(rows.scale(i) * rows.xh(row, i) + rows.shift(i));
    }
  }
}

template <class Real>
void give_parameter_gradients(const Rows<Real>& rows) {
  for (std::int64_t i = 0; i < rows.width; ++i) {
    double d_scale = 0, d_shift = 0;
    for (std::int64_t row = 0; row < rows.call.rows(0); ++row) {
      d_scale += rows.dy(row, i) * rows.xh(row, i);
      d_shift += rows.dy(row, i);
    }
    rows.call.give_gradient(0, i, d_scale);
    if (rows.centred) rows.call.give_gradient(1, i, d_shift);
  }
}

template <class Real>
void backward_rows(const Rows<Real>& rows) {
  // First: the input's gradient may overwrite the output's.
  if (rows.call.trains()) give_parameter_gradients(rows);
  if (rows.call.input_gradient(0) == nullptr) return;
  const std::int64_t n = rows.width;
  for (std::int64_t row = 0; row < rows.call.rows(0); ++row) {
    const auto h = [&](std::int64_t i) { return rows.dy(row, i) * rows.scale(i); };
    const double mean_h = rows.centred ? mean_of(n, h) : 0.0;
    const double mean_hx = mean_of(n, [&](std::int64_t i) { return h(i) * rows.xh(row, i); });
    Real* dx = rows.call.input_gradient(0) + row * n;
    for (std::int64_t i = 0; i < n; ++i) {
      const double projected = h(i) - mean_h - rows.xh(row, i) * mean_hx;
      dx[i] = static_cast<Real>(double{rows.inverse(row)} * projected);
    }
  }
}

}  // namespace

template <class Real>
void Kernels<LayerNorm, Real>::forward(const LayerNorm& norm, const Call<Real>& call) {
  forward_rows(Rows<Real>{call, norm.width, true});
}
template <class Real>
void Kernels<LayerNorm, Real>::backward(const LayerNorm& norm, const Call<Real>& call) {
  backward_rows(Rows<Real>{call, norm.width, true});
}
template <class Real>
void Kernels<RmsNorm, Real>::forward(const RmsNorm& norm, const Call<Real>& call) {
  forward_rows(Rows<Real>{call, norm.width, false});
}
template <class Real>
void Kernels<RmsNorm, Real>::backward(const RmsNorm& norm, const Call<Real>& call) {
  backward_rows(Rows<Real>{call, norm.width, false});
}

template struct Kernels<LayerNorm, float>;
template struct Kernels<LayerNorm, double>;
template struct Kernels<LayerNorm, BFloat16>;
template struct Kernels<RmsNorm, float>;
template struct Kernels<RmsNorm, double>;
template struct Kernels<RmsNorm, BFloat16>;

}  // namespace rehearse::exec::reference
