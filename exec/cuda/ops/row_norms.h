// Layer norm and RMS norm, a team to a row (formulas: exec/cpu/reference/row_norms.cc).
#pragma once

#include "exec/cuda/ops/op.h"

namespace rehearse::exec::cuda {

// The two norms as one: a mean and a shift, or neither.
template <class Real, bool kCentred>
struct RowNorm {
  using W = Wide<Real>;

  template <class Queue>
  static void forward(const Call<Real>& call, std::int64_t n, Queue& queue) {
    const Real *x = call.input(0), *scale = call.parameter(0);
    const Real* shift = kCentred ? call.parameter(1) : nullptr;
    W* const means = kCentred ? call.auxiliary(0) : nullptr;
    W* const inverses = call.auxiliary(kCentred ? 1 : 0);
    Real* y = call.output();
    queue.rows(call.rows(0), [=] REHEARSE_KERNEL(std::int64_t row, typename Queue::Team & team) {
      const Real* from = x + row * n;
      W mean = 0, square = 0;
      if (kCentred) {
        for (std::int64_t i = team.rank(); i < n; i += team.size())
          mean += static_cast<W>(from[i]);
        mean = team.sum(mean) / static_cast<W>(n);
      }
      for (std::int64_t i = team.rank(); i < n; i += team.size()) {
        const W centred = static_cast<W>(from[i]) - mean;
        square += centred * centred;
      }
      square = team.sum(square) / static_cast<W>(n);
      const W inverse = 1 / std::sqrt(square + W(kNormEpsilon));
      if (team.rank() == 0) {
        if (kCentred) means[row] = mean;
        inverses[row] = inverse;
      }
      for (std::int64_t i = team.rank(); i < n; i += team.size()) {
        const W xh = (static_cast<W>(from[i]) - mean) * inverse;
        const W shifted = kCentred ? static_cast<W>(shift[i]) : W(0);
        y[row * n + i] = static_cast<Real>(static_cast<W>(scale[i]) * xh + shifted);
      }
    });
  }

  template <class Queue>
  static void backward(const Call<Real>& call, std::int64_t n, Queue& queue) {
    // First: the input's gradient may overwrite the output's.
    if (call.trains()) give_parameter_gradients(call, n, queue);
    if (call.input_gradient(0) != nullptr) give_input_gradient(call, n, queue);
  }

  template <class Queue>
  static void give_parameter_gradients(const Call<Real>& call, std::int64_t n, Queue& queue) {
    const Real *x = call.input(0), *dy = call.output_gradient();
    const W* means = kCentred ? call.auxiliary(0) : nullptr;
    const W* inverses = call.auxiliary(kCentred ? 1 : 0);
    const Gradient<Real> d_scale = gradient_of(call, 0);
    const Gradient<Real> d_shift = kCentred ? gradient_of(call, 1) : Gradient<Real>{};
    sum_rows<Pair<W>>(
        queue, call.rows(0), n,
        [=] REHEARSE_KERNEL(std::int64_t row, std::int64_t i) {
          const W mean = kCentred ? means[row] : W(0), d = dy[row * n + i];
          return Pair<W>{d * (static_cast<W>(x[row * n + i]) - mean) * inverses[row], d};
        },
        [=] REHEARSE_KERNEL(std::int64_t i, const Pair<W>& sums) {
          d_scale.give(i, sums.first);
          if (kCentred) d_shift.give(i, sums.second);
        });
  }

  template <class Queue>
  static void give_input_gradient(const Call<Real>& call, std::int64_t n, Queue& queue) {
    const Real *x = call.input(0), *dy = call.output_gradient(), *scale = call.parameter(0);
    const W* means = kCentred ? call.auxiliary(0) : nullptr;
    const W* inverses = call.auxiliary(kCentred ? 1 : 0);
    Real* dx = call.input_gradient(0);
    queue.rows(call.rows(0), [=] REHEARSE_KERNEL(std::int64_t row, typename Queue::Team & team) {
      const std::int64_t first = row * n;
      const W mean = kCentred ? means[row] : W(0), inverse = inverses[row];
      W sum_h = 0, sum_hx = 0;
      for (std::int64_t i = team.rank(); i < n; i += team.size()) {
        const W h = static_cast<W>(dy[first + i]) * static_cast<W>(scale[i]);
        sum_h += h;
        sum_hx += h * (static_cast<W>(x[first + i]) - mean) * inverse;
      }
      const W mean_h = kCentred ? team.sum(sum_h) / static_cast<W>(n) : W(0);
      const W mean_hx = team.sum(sum_hx) / static_cast<W>(n);
      for (std::int64_t i = team.rank(); i < n; i += team.size()) {
        const W h = static_cast<W>(dy[first + i]) * static_cast<W>(scale[i]);
        const W xh = (static_cast<W>(x[first + i]) - mean) * inverse;
        dx[first + i] = static_cast<Real>(inverse * (h - mean_h - xh * mean_hx));
      }
    });
  }
};

template <class Real>
struct Op<LayerNorm, Real> {
  template <class Queue>
  static void forward(const LayerNorm& norm, const Call<Real>& call, Queue& queue) {
    RowNorm<Real, true>::forward(call, norm.width, queue);
  }
  template <class Queue>
  static void backward(const LayerNorm& norm, const Call<Real>& call, Queue& queue) {
    RowNorm<Real, true>::backward(call, norm.width, queue);
  }
};

template <class Real>
struct Op<RmsNorm, Real> {
  template <class Queue>
  static void forward(const RmsNorm& norm, const Call<Real>& call, Queue& queue) {
    RowNorm<Real, false>::forward(call, norm.width, queue);
  }
  template <class Queue>
  static void backward(const RmsNorm& norm, const Call<Real>& call, Queue& queue) {
    RowNorm<Real, false>::backward(call, norm.width, queue);
  }
};

}  // namespace rehearse::exec::cuda
