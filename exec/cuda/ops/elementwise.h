// Activations, residuals, sums, biases, dropout: element by element, so an output may be an input
// (formulas: exec/cpu/reference/activations.cc, sums.cc, dropout.cc).
#pragma once

#include <array>

#include "exec/cpu/dropout_mask.h"
#include "exec/cuda/ops/op.h"
#include "model/base/philox.h"

namespace rehearse::exec::cuda {

template <class Real>
struct Op<Relu, Real> {
  template <class Queue>
  static void forward(const Relu&, const Call<Real>& call, Queue& queue) {
    const Real* x = call.input(0);
    Real* y = call.output();
    // What is not a number stays so.
    queue.each(call.elements(),
               [=] REHEARSE_KERNEL(std::int64_t i) { y[i] = x[i] < 0 ? Real{} : x[i]; });
  }
  template <class Queue>
  static void backward(const Relu&, const Call<Real>& call, Queue& queue) {
    const Real *y = call.output(), *dy = call.output_gradient();
    Real* dx = call.input_gradient(0);
    queue.each(call.elements(),
               [=] REHEARSE_KERNEL(std::int64_t i) { dx[i] = y[i] > 0 ? dy[i] : Real{}; });
  }
};

template <class Real>
struct Op<Gelu, Real> {
  using W = Wide<Real>;

  // y = x s(x): the share s and its slope.
  struct Share {
    W value, slope;
  };
  REHEARSE_PORTABLE static Share share(GeluForm form, W x) {
    constexpr W kRoot = W(0.7978845608028654), kCubic = W(0.044715), kSteepness = W(1.702);
    if (form == GeluForm::erf)
      return {W(0.5) * (1 + std::erf(x * W(0.7071067811865476))),
              W(0.5) * kRoot * std::exp(W(-0.5) * x * x)};
    if (form == GeluForm::sigmoid) {
      const W s = 1 / (1 + std::exp(-kSteepness * x));
      return {s, kSteepness * s * (1 - s)};
    }
    const W t = std::tanh(kRoot * (x + kCubic * x * x * x));
    return {W(0.5) * (1 + t), W(0.5) * (1 - t * t) * kRoot * (1 + 3 * kCubic * x * x)};
  }

  REHEARSE_PORTABLE static W value(GeluForm form, W x) { return x * share(form, x).value; }
  REHEARSE_PORTABLE static W slope(GeluForm form, W x) {
    const Share s = share(form, x);
    return s.value + x * s.slope;
  }

  template <class Queue>
  static void forward(const Gelu& gelu, const Call<Real>& call, Queue& queue) {
    const Real* x = call.input(0);
    Real* y = call.output();
    const GeluForm form = gelu.form;
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
      y[i] = static_cast<Real>(value(form, static_cast<W>(x[i])));
    });
  }
  template <class Queue>
  static void backward(const Gelu& gelu, const Call<Real>& call, Queue& queue) {
    const Real *x = call.input(0), *dy = call.output_gradient();
    Real* dx = call.input_gradient(0);
    const GeluForm form = gelu.form;
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
      dx[i] = static_cast<Real>(static_cast<W>(dy[i]) * slope(form, static_cast<W>(x[i])));
    });
  }
};

template <class Real>
struct Op<SwiGlu, Real> {
  using W = Wide<Real>;

  template <class Queue>
  static void forward(const SwiGlu&, const Call<Real>& call, Queue& queue) {
    const Real *gate = call.input(0), *up = call.input(1);
    Real* y = call.output();
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
      const W g = gate[i];
      y[i] = static_cast<Real>(g / (1 + std::exp(-g)) * static_cast<W>(up[i]));
    });
  }
  template <class Queue>
  static void backward(const SwiGlu&, const Call<Real>& call, Queue& queue) {
    const Real *gate = call.input(0), *up = call.input(1), *dy = call.output_gradient();
    Real *d_gate = call.input_gradient(0), *d_up = call.input_gradient(1);
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
      const W g = gate[i], u = up[i], d = dy[i], s = 1 / (1 + std::exp(-g));
      if (d_gate != nullptr) d_gate[i] = static_cast<Real>(d * u * s * (1 + g * (1 - s)));
      if (d_up != nullptr) d_up[i] = static_cast<Real>(d * g * s);
    });
  }
};

template <class Real>
struct Op<Add, Real> {
  using W = Wide<Real>;

  template <class Queue>
  static void forward(const Add& add, const Call<Real>& call, Queue& queue) {
    const Real *branch = call.input(0), *shortcut = call.input(1);
    Real* y = call.output();
    const auto scale = static_cast<W>(add.branch_scale);
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
      y[i] = static_cast<Real>(static_cast<W>(branch[i]) * scale + static_cast<W>(shortcut[i]));
    });
  }
  template <class Queue>
  static void backward(const Add& add, const Call<Real>& call, Queue& queue) {
    const Real* dy = call.output_gradient();
    Real *d_branch = call.input_gradient(0), *d_shortcut = call.input_gradient(1);
    const auto scale = static_cast<W>(add.branch_scale);
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
      const Real gradient = dy[i];  // which either may overwrite
      if (d_branch != nullptr) d_branch[i] = static_cast<Real>(static_cast<W>(gradient) * scale);
      if (d_shortcut != nullptr) d_shortcut[i] = gradient;
    });
  }
};

template <class Real>
struct Op<Sum, Real> {
  using W = Wide<Real>;
  static constexpr std::size_t kMost = 8;  // terms that one pass adds up
  struct Terms {
    const Real* at[kMost] = {};
  };

  template <class Queue>
  static void forward(const Sum& sum, const Call<Real>& call, Queue& queue) {
    const std::size_t terms = call.request.inputs.size();
    Real* y = call.output();
    for (std::size_t first = 0; first < terms; first += kMost) {
      const std::size_t count = std::min(kMost, terms - first);
      Terms x;
      for (std::size_t k = 0; k < count; ++k)
        x.at[k] = call.input(first + k);
      const bool goes_on = first > 0, ends = first + count == terms;
      const W scale = ends ? static_cast<W>(sum.scale) : W(1);
      queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
        W total = goes_on ? static_cast<W>(y[i]) : W(0);
        for (std::size_t k = 0; k < count; ++k)
          total += static_cast<W>(x.at[k][i]);
        y[i] = static_cast<Real>(scale * total);
      });
    }
  }
  template <class Queue>
  static void backward(const Sum& sum, const Call<Real>& call, Queue& queue) {
    const Real* dy = call.output_gradient();
    const auto scale = static_cast<W>(sum.scale);
    // What the output's gradient itself is overwritten with comes last.
    for (const bool in_place : {false, true}) {
      for (std::size_t term = 0; term < call.request.inputs.size(); ++term) {
        Real* dx = call.input_gradient(term);
        if (dx == nullptr || (dx == dy) != in_place) continue;
        queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
          dx[i] = static_cast<Real>(scale * static_cast<W>(dy[i]));
        });
      }
    }
  }
};

// db: the sum of dy over samples and positions.
template <class Real, class Queue>
void sum_bias_gradient(const Call<Real>& call, std::size_t parameter, std::int64_t rows,
                       std::int64_t width, Queue& queue) {
  using W = Wide<Real>;
  const Real* dy = call.output_gradient();
  const Gradient<Real> gradient = gradient_of(call, parameter);
  sum_rows<W>(
      queue, rows, width,
      [=] REHEARSE_KERNEL(std::int64_t row, std::int64_t i) {
        return static_cast<W>(dy[row * width + i]);
      },
      [=] REHEARSE_KERNEL(std::int64_t i, W sum) { gradient.give(i, sum); });
}

// y = x + b, b repeated, from its element `first` on.
template <class Real, class Queue>
void add_repeated(const Call<Real>& call, std::int64_t period, Queue& queue,
                  std::int64_t first = 0) {
  using W = Wide<Real>;
  const Real *x = call.input(0), *b = call.parameter(0);
  Real* y = call.output();
  queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
    y[i] = static_cast<Real>(static_cast<W>(x[i]) + static_cast<W>(b[(first + i) % period]));
  });
}

template <class Real, class Queue>
void pass_gradient(const Call<Real>& call, Queue& queue) {
  if (call.input_gradient(0) == call.output_gradient()) return;
  queue.copy(call.input_gradient(0), call.output_gradient(),
             static_cast<std::size_t>(call.elements()) * sizeof(Real));
}

template <class Real>
struct Op<Bias, Real> {
  template <class Queue>
  static void forward(const Bias& bias, const Call<Real>& call, Queue& queue) {
    add_repeated(call, bias.width, queue);
  }
  template <class Queue>
  static void backward_input(const Bias&, const Call<Real>& call, Queue& queue) {
    pass_gradient(call, queue);
  }
  template <class Queue>
  static void backward_weight(const Bias& bias, const Call<Real>& call, Queue& queue) {
    sum_bias_gradient(call, 0, call.rows(0), bias.width, queue);
  }
};

template <class Real>
struct Op<PositionEmbedding, Real> {
  using W = Wide<Real>;

  template <class Queue>
  static void forward(const PositionEmbedding& embedding, const Call<Real>& call, Queue& queue) {
    const PartOf& part = embedding.part;
    add_repeated(call, part.ways * call.request.output.elements(), queue,
                 part.number * call.elements());
  }
  template <class Queue>
  static void backward_input(const PositionEmbedding&, const Call<Real>& call, Queue& queue) {
    pass_gradient(call, queue);
  }
  // Positions beyond the sequence, and those that the rows do not have, have a gradient of zero.
  template <class Queue>
  static void backward_weight(const PositionEmbedding& embedding, const Call<Real>& call,
                              Queue& queue) {
    const std::int64_t first = embedding.part.number * call.elements(), n = call.elements();
    const std::int64_t period = embedding.part.ways * call.request.output.elements();
    const Real* dy = call.output_gradient();
    const Gradient<Real> gradient = gradient_of(call, 0);
    queue.each(embedding.length * embedding.width, [=] REHEARSE_KERNEL(std::int64_t i) {
      W sum = 0;
      const std::int64_t next = (i + period - first % period) % period;
      for (std::int64_t at = next; i < period && at < n; at += period)
        sum += static_cast<W>(dy[at]);
      gradient.give(i, sum);
    });
  }
};

template <class Real>
struct Op<Dropout, Real> {
  using W = Wide<Real>;

  template <class Queue>
  static void drop(const Dropout& dropout, const Call<Real>& call, const Real* from, Real* to,
                   Queue& queue) {
    const auto factor = static_cast<W>(1 / (1 - dropout.rate));
    const std::uint32_t bound = mask_bound(dropout);
    const std::int64_t elements = call.request.output.elements();
    const Draws draws = call.arguments.draws;
    queue.each(call.elements(), [=] REHEARSE_KERNEL(std::int64_t i) {
      const bool kept = keeps_element(draws, bound, i / elements, i % elements);
      to[i] = kept ? static_cast<Real>(static_cast<W>(from[i]) * factor) : Real{};
    });
  }

  template <class Queue>
  static void forward(const Dropout& dropout, const Call<Real>& call, Queue& queue) {
    drop(dropout, call, call.input(0), call.output(), queue);
  }
  template <class Queue>
  static void backward(const Dropout& dropout, const Call<Real>& call, Queue& queue) {
    drop(dropout, call, call.output_gradient(), call.input_gradient(0), queue);
  }
};

}  // namespace rehearse::exec::cuda
