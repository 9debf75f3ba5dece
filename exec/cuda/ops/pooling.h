// Pooling: a thread to an element, gathering (formulas: exec/cpu/reference/pooling.cc).
#pragma once

#include "exec/cuda/ops/op.h"

namespace rehearse::exec::cuda {

template <class Real>
struct Op<GlobalAveragePool, Real> {
  using W = Wide<Real>;

  template <class Queue>
  static void forward(const GlobalAveragePool&, const Call<Real>& call, Queue& queue) {
    const std::int64_t channels = call.request.output.elements();
    const std::int64_t positions = call.request.inputs[0].elements() / channels;
    const Real* x = call.input(0);
    Real* y = call.output();
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
      const Real* from = x + i / channels * positions * channels + i % channels;
      W sum = 0;
      for (std::int64_t p = 0; p < positions; ++p)
        sum += static_cast<W>(from[p * channels]);
      y[i] = static_cast<Real>(sum / static_cast<W>(positions));
    });
  }
  template <class Queue>
  static void backward(const GlobalAveragePool&, const Call<Real>& call, Queue& queue) {
    const std::int64_t channels = call.request.output.elements();
    const std::int64_t image = call.request.inputs[0].elements();
    const W positions = static_cast<W>(image / channels);
    const Real* dy = call.output_gradient();
    Real* dx = call.input_gradient(0);
    queue.each(call.samples() * image, [=] REHEARSE_KERNEL(std::int64_t i) {
      const W gradient = dy[i / image * channels + i % channels];
      dx[i] = static_cast<Real>(gradient / positions);
    });
  }
};

template <class Real>
struct Op<MaxPool, Real> {
  using W = Wide<Real>;

  struct Extents {
    std::int64_t h, w, c, out_h, out_w, kernel, stride, padding;
  };
  static Extents extents(const MaxPool& pool, const Call<Real>& call) {
    const auto &in = call.request.inputs[0].dims, &out = call.request.output.dims;
    return {in[0], in[1], in[2], out[0], out[1], pool.kernel, pool.stride, pool.padding};
  }

  // The first of several equal ones, in reading order; its place in the window is kept.
  template <class Queue>
  static void forward(const MaxPool& pool, const Call<Real>& call, Queue& queue) {
    const Extents e = extents(pool, call);
    const Real* x = call.input(0);
    Real* y = call.output();
    W* const kept = call.auxiliary(0);
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
      const std::int64_t c = i % e.c, column = i / e.c % e.out_w, row = i / e.c / e.out_w % e.out_h;
      const std::int64_t n = i / e.c / e.out_w / e.out_h;
      std::int64_t place = -1;
      Real largest{};
      for (std::int64_t k = 0; k < e.kernel * e.kernel; ++k) {
        const std::int64_t from_row = row * e.stride - e.padding + k / e.kernel;
        const std::int64_t from_column = column * e.stride - e.padding + k % e.kernel;
        if (from_row < 0 || from_row >= e.h || from_column < 0 || from_column >= e.w) continue;
        const Real value = x[((n * e.h + from_row) * e.w + from_column) * e.c + c];
        if (place < 0 || value > largest) place = k, largest = value;
      }
      y[i] = largest;
      kept[i] = static_cast<W>(place);
    });
  }

  // Of an input: the gradients of all windows whose largest it was.
  template <class Queue>
  static void backward(const MaxPool& pool, const Call<Real>& call, Queue& queue) {
    const Extents e = extents(pool, call);
    const Real* dy = call.output_gradient();
    const W* kept = call.auxiliary(0);
    Real* dx = call.input_gradient(0);
    queue.each(call.samples() * e.h * e.w * e.c, [=] REHEARSE_KERNEL(std::int64_t i) {
      const std::int64_t c = i % e.c, column = i / e.c % e.w, row = i / e.c / e.w % e.h;
      const std::int64_t n = i / e.c / e.w / e.h;
      W sum = 0;
      for (std::int64_t k = 0; k < e.kernel * e.kernel; ++k) {
        const std::int64_t down = row + e.padding - k / e.kernel;
        const std::int64_t right = column + e.padding - k % e.kernel;
        if (down < 0 || right < 0 || down % e.stride != 0 || right % e.stride != 0) continue;
        const std::int64_t to_row = down / e.stride, to_column = right / e.stride;
        if (to_row >= e.out_h || to_column >= e.out_w) continue;
        const std::int64_t at = ((n * e.out_h + to_row) * e.out_w + to_column) * e.c + c;
        if (kept[at] == static_cast<W>(k)) sum += static_cast<W>(dy[at]);
      }
      dx[i] = static_cast<Real>(sum);
    });
  }
};

}  // namespace rehearse::exec::cuda
