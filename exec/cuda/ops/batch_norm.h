// Batch norm with the statistics of the micro-batch (formulas: exec/cpu/reference/batch_norm.cc).
#pragma once

#include "exec/cuda/ops/op.h"

namespace rehearse::exec::cuda {

template <class Real>
struct Op<BatchNorm, Real> {
  using W = Wide<Real>;

  template <class Queue>
  static void forward(const BatchNorm& norm, const Call<Real>& call, Queue& queue) {
    const std::int64_t rows = call.rows(0), channels = norm.channels;
    const Real *x = call.input(0), *scale = call.parameter(0), *shift = call.parameter(1);
    W *const mean = call.auxiliary(0), *const variance = call.auxiliary(1);
    Real* y = call.output();
    // Twice over x: squares of what is far from 0 would leave nothing of the variance.
    sum_rows<W>(
        queue, rows, channels,
        [=] REHEARSE_KERNEL(std::int64_t row, std::int64_t c) {
          return static_cast<W>(x[row * channels + c]);
        },
        [=] REHEARSE_KERNEL(std::int64_t c, W sum) { mean[c] = sum / static_cast<W>(rows); });
    sum_rows<W>(
        queue, rows, channels,
        [=] REHEARSE_KERNEL(std::int64_t row, std::int64_t c) {
          const W centred = static_cast<W>(x[row * channels + c]) - mean[c];
          return centred * centred;
        },
        [=] REHEARSE_KERNEL(std::int64_t c, W sum) { variance[c] = sum / static_cast<W>(rows); });
    queue.each(rows * channels, [=] REHEARSE_KERNEL(std::int64_t i) {
      const std::int64_t c = i % channels;
      const W xh = (static_cast<W>(x[i]) - mean[c]) / std::sqrt(variance[c] + W(kNormEpsilon));
      y[i] = static_cast<Real>(static_cast<W>(scale[c]) * xh + static_cast<W>(shift[c]));
    });
  }

  template <class Queue>
  static void backward(const BatchNorm& norm, const Call<Real>& call, Queue& queue) {
    const std::int64_t rows = call.rows(0), channels = norm.channels;
    const Real *x = call.input(0), *dy = call.output_gradient(), *scale = call.parameter(0);
    const W *mean = call.auxiliary(0), *variance = call.auxiliary(1);
    const bool trains = call.trains();
    const Gradient<Real> d_scale = gradient_of(call, 0), d_shift = gradient_of(call, 1);
    // d scale and d shift, for the input's gradient: behind what sum_rows() takes of the scratch.
    auto* const sums = reinterpret_cast<Pair<W>*>(
        queue.scratch(static_cast<std::size_t>(channels) * sizeof(Pair<W>), 1));
    const auto term = [=] REHEARSE_KERNEL(std::int64_t row, std::int64_t c) {
      const W d = dy[row * channels + c];
      return Pair<W>{d * (static_cast<W>(x[row * channels + c]) - mean[c]) /
                         std::sqrt(variance[c] + W(kNormEpsilon)),
                     d};
    };
    sum_rows<Pair<W>>(queue, rows, channels, term,
                      [=] REHEARSE_KERNEL(std::int64_t c, const Pair<W>& sum) {
                        sums[c] = sum;
                        if (!trains) return;
                        d_scale.give(c, sum.first);
                        d_shift.give(c, sum.second);
                      });
    Real* dx = call.input_gradient(0);
    if (dx == nullptr) return;
    queue.each(rows * channels, [=] REHEARSE_KERNEL(std::int64_t i) {
      const std::int64_t c = i % channels;
      const W inverse = 1 / std::sqrt(variance[c] + W(kNormEpsilon));
      const W xh = (static_cast<W>(x[i]) - mean[c]) * inverse;
      const W m = static_cast<W>(rows);
      const W centred = static_cast<W>(dy[i]) - sums[c].second / m - xh * sums[c].first / m;
      dx[i] = static_cast<Real>(static_cast<W>(scale[c]) * inverse * centred);
    });
  }
};

}  // namespace rehearse::exec::cuda
