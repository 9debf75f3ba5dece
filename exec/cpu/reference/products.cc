// Linear: y = x W^T + b, and its two gradients.
#include "exec/cpu/reference/kernels.h"

namespace rehearse::exec::reference {

template <class Real>
void Kernels<Linear, Real>::forward(const Linear& linear, const Call<Real>& call) {
  const std::int64_t in = linear.in_features, out = linear.out_features;
  for (std::int64_t row = 0; row < call.rows(0); ++row) {
    const Real* x = call.input(0) + row * in;
    Real* y = call.output() + row * out;
    for (std::int64_t o = 0; o < out; ++o) {
      const double bias = linear.bias ? double{call.parameter(1)[o]} : 0.0;
      y[o] = static_cast<Real>(bias + dot(x, call.parameter(0) + o * in, in));
    }
  }
}

template <class Real>
void Kernels<Linear, Real>::backward_input(const Linear& linear, const Call<Real>& call) {
  const std::int64_t in = linear.in_features, out = linear.out_features;
  for (std::int64_t row = 0; row < call.rows(0); ++row) {
    const Real* dy = call.output_gradient() + row * out;
    for (std::int64_t i = 0; i < in; ++i) {
      double sum = 0;
      for (std::int64_t o = 0; o < out; ++o) {
        sum += double{dy[o]} * double{call.parameter(0)[o * in + i]};
      }
      call.input_gradient(0)[row * in + i] = static_cast<Real>(sum);
    }
  }
}

template <class Real>
void Kernels<Linear, Real>::backward_weight(const Linear& linear, const Call<Real>& call) {
  const std::int64_t in = linear.in_features, out = linear.out_features;
  // Sum over the rows of dy[row, o] times what `other` gives for the row.
  const auto sum_rows = [&](std::int64_t o, auto other) {
    double sum = 0;
    for (std::int64_t row = 0; row < call.rows(0); ++row) {
      sum += double{call.output_gradient()[row * out + o]} * other(row);
    }
    return sum;
  };
  for (std::int64_t o = 0; o < out; ++o) {
    for (std::int64_t i = 0; i < in; ++i) {
      const auto x = [&](std::int64_t row) { return double{call.input(0)[row * in + i]}; };
      call.give_gradient(0, o * in + i, sum_rows(o, x));
    }
    if (linear.bias) call.give_gradient(1, o, sum_rows(o, [](std::int64_t) { return 1.0; }));
  }
}

template struct Kernels<Linear, float>;
template struct Kernels<Linear, double>;
template struct Kernels<Linear, BFloat16>;

}  // namespace rehearse::exec::reference
