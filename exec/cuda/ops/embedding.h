// Token embeddings, rotary positions, patches, class tokens, first rows (formulas:
// exec/cpu/reference/embedding.cc).
#pragma once

#include "exec/cuda/ops/op.h"

namespace rehearse::exec::cuda {

template <class Real>
struct Op<Embedding, Real> {
  using W = Wide<Real>;

  template <class Queue>
  static void forward(const Embedding& embedding, const Call<Real>& call, Queue& queue) {
    const std::int64_t width = embedding.width;
    const std::int32_t* tokens = call.indices(0);
    const Real* table = call.parameter(0);
    Real* y = call.output();
    const std::int64_t first = embedding.part.number * embedding.vocabulary;
    const std::int64_t own = embedding.vocabulary;
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
      const std::int64_t token = tokens[i / width] - first;
      // Another part's token.
      const bool is_own = token >= 0 && token < own;
      y[i] = is_own ? table[token * width + i % width] : Real{};
    });
  }

  // Rows of one token are added up in the order of their places, by the team of the first of them.
  template <class Queue>
  static void backward_weight(const Embedding& embedding, const Call<Real>& call, Queue& queue) {
    const std::int64_t width = embedding.width, rows = call.elements() / width;
    const Gradient<Real> gradient = gradient_of(call, 0);
    if (!gradient.adds)
      queue.fill(gradient.at, std::byte{},
                 static_cast<std::size_t>(embedding.vocabulary * width) * sizeof(Real));
    auto* const tokens = reinterpret_cast<std::int32_t*>(
        queue.scratch(static_cast<std::size_t>(rows) * 2 * sizeof(std::int32_t), 1));
    auto* const places = tokens + rows;
    queue.sort(call.indices(0), tokens, places, rows);
    const Real* dy = call.output_gradient();
    const std::int64_t skipped = embedding.part.number * embedding.vocabulary;
    const std::int64_t own = embedding.vocabulary;
    queue.rows(rows, [=] REHEARSE_KERNEL(std::int64_t first, typename Queue::Team & team) {
      const std::int64_t token = tokens[first], row = token - skipped;
      if (first > 0 && tokens[first - 1] == token) return;
      if (row < 0 || row >= own) return;
      for (std::int64_t i = team.rank(); i < width; i += team.size()) {
        W sum = 0;
        for (std::int64_t k = first; k < rows && tokens[k] == token; ++k)
          sum += static_cast<W>(dy[places[k] * width + i]);
        gradient.give(row * width + i, sum);
      }
    });
  }
};

template <class Real>
struct Op<Rotary, Real> {
  using W = Wide<Real>;

  template <class Queue>
  static void rotate(const Rotary& rotary, const Call<Real>& call, const Real* from, Real* to,
                     double direction, Queue& queue) {
    const std::int64_t size = rotary.head_size, rotated = rotary.rotated, half = rotated / 2;
    const std::int64_t heads = rotary.heads + rotary.kv_heads, samples = call.samples();
    const std::int64_t width = (heads + rotary.kv_heads) * size;
    const std::int64_t positions = call.request.inputs[0].dims[0];
    const double base = rotary.base;
    // One angle per thread, in double: large positions have many turns.
    queue.each(positions * half, [=] REHEARSE_KERNEL(std::int64_t pair) {
      const std::int64_t position = pair / half, k = pair % half;
      const double exponent = -2.0 * static_cast<double>(k) / static_cast<double>(rotated);
      const double angle = direction * static_cast<double>(position) * std::pow(base, exponent);
      const W cosine = static_cast<W>(std::cos(angle)), sine = static_cast<W>(std::sin(angle));
      for (std::int64_t n = 0; n < samples; ++n) {
        for (std::int64_t h = 0; h < heads; ++h) {
          const std::int64_t at = (n * positions + position) * width + h * size + k;
          const W a = from[at], b = from[at + half];
          to[at] = static_cast<Real>(a * cosine - b * sine);
          to[at + half] = static_cast<Real>(b * cosine + a * sine);
        }
      }
    });
    if (from == to) return;
    queue.each(samples * positions * width, [=] REHEARSE_KERNEL(std::int64_t i) {
      const std::int64_t channel = i % width;
      if (channel >= heads * size || channel % size >= rotated) to[i] = from[i];
    });
  }
  template <class Queue>
  static void forward(const Rotary& rotary, const Call<Real>& call, Queue& queue) {
    rotate(rotary, call, call.input(0), call.output(), 1, queue);
  }
  template <class Queue>
  static void backward(const Rotary& rotary, const Call<Real>& call, Queue& queue) {
    rotate(rotary, call, call.output_gradient(), call.input_gradient(0), -1, queue);
  }
};

template <class Real>
struct Op<Patches, Real> {
  // From a patch's element to the image's.
  struct Places {
    std::int64_t size, pixels, across, width, image;
    REHEARSE_PORTABLE std::int64_t operator()(std::int64_t i) const {
      const std::int64_t row = i % image / pixels, patch = row / size;
      const std::int64_t y = patch / across * size + row % size;
      return i / image * image + y * width + patch % across * pixels + i % pixels;
    }
  };
  static Places places(const Patches& patches, const Call<Real>& call) {
    const Shape& in = call.request.inputs[0];
    return {patches.size, patches.size * in.dims[2], in.dims[1] / patches.size,
            in.dims[1] * in.dims[2], in.elements()};
  }
  template <class Queue>
  static void forward(const Patches& patches, const Call<Real>& call, Queue& queue) {
    const Places at = places(patches, call);
    const Real* x = call.input(0);
    Real* y = call.output();
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) { y[i] = x[at(i)]; });
  }
  template <class Queue>
  static void backward(const Patches& patches, const Call<Real>& call, Queue& queue) {
    const Places at = places(patches, call);
    const Real* dy = call.output_gradient();
    Real* dx = call.input_gradient(0);
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) { dx[at(i)] = dy[i]; });
  }
};

template <class Real>
struct Op<ClassToken, Real> {
  using W = Wide<Real>;

  template <class Queue>
  static void forward(const ClassToken& token, const Call<Real>& call, Queue& queue) {
    const std::int64_t width = token.width, all = call.request.output.elements();
    const Real *x = call.input(0), *first = call.parameter(0);
    Real* y = call.output();
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
      const std::int64_t k = i % all;
      y[i] = k < width ? first[k] : x[i / all * (all - width) + k - width];
    });
  }
  template <class Queue>
  static void backward(const ClassToken& token, const Call<Real>& call, Queue& queue) {
    const std::int64_t width = token.width, all = call.request.output.elements();
    const std::int64_t samples = call.samples(), rest = all - width;
    const Real* dy = call.output_gradient();
    if (call.trains()) {
      const Gradient<Real> gradient = gradient_of(call, 0);
      queue.each(width, [=] REHEARSE_KERNEL(std::int64_t i) {
        W sum = 0;
        for (std::int64_t n = 0; n < samples; ++n)
          sum += static_cast<W>(dy[n * all + i]);
        gradient.give(i, sum);
      });
    }
    Real* dx = call.input_gradient(0);
    if (dx == nullptr) return;
    queue.each(samples * rest, [=] REHEARSE_KERNEL(std::int64_t i) {
      dx[i] = dy[i / rest * all + width + i % rest];
    });
  }
};

template <class Real>
struct Op<FirstRow, Real> {
  template <class Queue>
  static void forward(const FirstRow&, const Call<Real>& call, Queue& queue) {
    const std::int64_t width = call.request.output.elements();
    const std::int64_t all = call.request.inputs[0].elements();
    const Real* x = call.input(0);
    Real* y = call.output();
    queue.each(call.elements(),
               [=] REHEARSE_KERNEL(std::int64_t i) { y[i] = x[i / width * all + i % width]; });
  }
  template <class Queue>
  static void backward(const FirstRow&, const Call<Real>& call, Queue& queue) {
    const std::int64_t width = call.request.output.elements();
    const std::int64_t all = call.request.inputs[0].elements();
    const Real* dy = call.output_gradient();
    Real* dx = call.input_gradient(0);
    queue.each(call.samples() * all, [=] REHEARSE_KERNEL(std::int64_t i) {
      dx[i] = i % all < width ? dy[i / all * width + i % all] : Real{};
    });
  }
};

}  // namespace rehearse::exec::cuda
