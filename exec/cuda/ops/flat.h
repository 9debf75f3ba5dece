// Work on flat buffers: sums, optimizers, what holders bring together (formulas:
// exec/cpu/optimizer_loops.h, element by element the same).
#pragma once

#include <optional>

#include "exec/cuda/ops/op.h"

namespace rehearse::exec::cuda {

// result = sum of term(i) over i in [0, n), a double.
template <class Queue, class Term>
void sum_all(Queue& queue, std::int64_t n, double* result, Term term) {
  constexpr std::int64_t kThreads = 1 << 14;
  const std::int64_t threads = std::max<std::int64_t>(1, std::min(n, kThreads));
  auto* const partial =
      reinterpret_cast<double*>(queue.scratch(static_cast<std::size_t>(threads) * sizeof(double)));
  queue.each(threads, [=] REHEARSE_KERNEL(std::int64_t first) {
    double sum = 0;
    for (std::int64_t i = first; i < n; i += threads)
      sum += term(i);
    partial[first] = sum;
  });
  queue.rows(1, [=] REHEARSE_KERNEL(std::int64_t, typename Queue::Team & team) {
    double sum = 0;
    for (std::int64_t i = team.rank(); i < threads; i += team.size())
      sum += partial[i];
    sum = team.sum(sum);
    if (team.rank() == 0) *result = sum;
  });
}

template <class Real>
struct Flat {
  using W = Wide<Real>;

  template <class Queue>
  static void add(Queue& queue, Real* sum, const Real* left, const Real* right, std::int64_t n) {
    queue.each(n, [=] REHEARSE_KERNEL(std::int64_t i) {
      sum[i] = static_cast<Real>(static_cast<W>(left[i]) + static_cast<W>(right[i]));
    });
  }
  template <class Queue>
  static void divide(Queue& queue, Real* values, std::int64_t n, std::int64_t by) {
    const W divisor = static_cast<W>(by);
    queue.each(n, [=] REHEARSE_KERNEL(std::int64_t i) {
      values[i] = static_cast<Real>(static_cast<W>(values[i]) / divisor);
    });
  }
  // 0 x is 0 for every finite x, and NaN for all others.
  template <class Queue>
  static void sum_of_zeros(Queue& queue, const Real* values, std::int64_t n, double* result) {
    sum_all(queue, n, result, [=] REHEARSE_KERNEL(std::int64_t i) {
      return 0.0 * static_cast<double>(static_cast<W>(values[i]));
    });
  }
  template <class Queue>
  static void sum_of_squares(Queue& queue, const Real* values, std::int64_t n, double* result) {
    sum_all(queue, n, result, [=] REHEARSE_KERNEL(std::int64_t i) {
      const double value = static_cast<double>(static_cast<W>(values[i]));
      return value * value;
    });
  }

  // The weights an optimizer steps: the master copy, of which the others are rounded, or
  // themselves.
  struct Weights {
    Real* rounded;
    W* master;
    REHEARSE_PORTABLE W get(std::int64_t i) const {
      return master != nullptr ? master[i] : static_cast<W>(rounded[i]);
    }
    REHEARSE_PORTABLE void set(std::int64_t i, W value) const {
      if (master != nullptr) master[i] = value;
      rounded[i] = static_cast<Real>(value);
    }
  };

  template <class Queue>
  static void step(Queue& queue, const Update& update, Real* parameters, const Real* gradients,
                   const OptimizerState& state, std::int64_t n) {
    const Weights weights{parameters, static_cast<W*>(state.master)};
    auto *const first = static_cast<W*>(state.moments[0]), *const second =
                                                               static_cast<W*>(state.moments[1]);
    if (const auto* adam = std::get_if<Adam>(&update.optimizer.rule)) {
      step_adam(queue, update, *adam, weights, gradients, first, second, n);
    } else {
      step_sgd(queue, update, weights, gradients, first, n);
    }
  }

  template <class Queue>
  static void step_sgd(Queue& queue, const Update& update, const Weights& weights,
                       const Real* gradients, W* v, std::int64_t n) {
    const W lr = static_cast<W>(update.lr), factor = static_cast<W>(update.factor);
    const W momentum = static_cast<W>(std::get<Sgd>(update.optimizer.rule).momentum);
    const W decay = static_cast<W>(update.decays ? update.optimizer.weight_decay : 0.0);
    queue.each(n, [=] REHEARSE_KERNEL(std::int64_t i) {
      const W w = weights.get(i);
      W step = factor * static_cast<W>(gradients[i]) + decay * w;
      if (v != nullptr) step = v[i] = momentum * v[i] + step;
      weights.set(i, w - lr * step);
    });
  }

  template <class Queue>
  static void step_adam(Queue& queue, const Update& update, const Adam& rule,
                        const Weights& weights, const Real* gradients, W* m, W* v, std::int64_t n) {
    const auto t = static_cast<double>(update.step + 1);
    const double decay = update.decays ? update.optimizer.weight_decay : 0.0;
    const W factor = static_cast<W>(update.factor);
    const W beta1 = static_cast<W>(rule.beta1), new1 = static_cast<W>(1 - rule.beta1);
    const W beta2 = static_cast<W>(rule.beta2), new2 = static_cast<W>(1 - rule.beta2);
    const W rate = static_cast<W>(update.lr / (1 - std::pow(rule.beta1, t)));
    const W unbias = static_cast<W>(1 / std::sqrt(1 - std::pow(rule.beta2, t)));
    const W epsilon = static_cast<W>(rule.epsilon);
    const W kept = static_cast<W>(rule.decoupled ? 1 - update.lr * decay : 1.0);
    const W added = static_cast<W>(rule.decoupled ? 0.0 : decay);
    queue.each(n, [=] REHEARSE_KERNEL(std::int64_t i) {
      const W w = weights.get(i), g = factor * static_cast<W>(gradients[i]) + added * w;
      const W mean = m[i] = beta1 * m[i] + new1 * g;
      const W square = v[i] = beta2 * v[i] + new2 * g * g;
      weights.set(i, kept * w - rate * (mean / (std::sqrt(square) * unbias + epsilon)));
    });
  }

  template <class Queue>
  static void outer_gradient(Queue& queue, const OuterPiece& piece, Real* gradients,
                             std::int64_t n) {
    const Weights weights{static_cast<Real*>(piece.parameters), static_cast<W*>(piece.master)};
    const auto* anchor = static_cast<const W*>(piece.anchor);
    queue.each(n, [=] REHEARSE_KERNEL(std::int64_t i) {
      gradients[i] =
          anchor == nullptr ? weights.rounded[i] : static_cast<Real>(anchor[i] - weights.get(i));
    });
  }

  template <class Queue>
  static void outer_step(Queue& queue, const std::optional<OuterOptimizer>& outer,
                         const OuterPiece& piece, const Real* averages, std::int64_t n) {
    const Weights weights{static_cast<Real*>(piece.parameters), static_cast<W*>(piece.master)};
    if (!outer) {
      queue.copy(weights.rounded, averages, static_cast<std::size_t>(n) * sizeof(Real));
      return;
    }
    auto *const theta = static_cast<W*>(piece.anchor), *const v = static_cast<W*>(piece.momentum);
    const W lr = static_cast<W>(outer->lr), momentum = static_cast<W>(outer->momentum);
    queue.each(n, [=] REHEARSE_KERNEL(std::int64_t i) {
      const W gradient = static_cast<W>(averages[i]);
      W step = gradient;
      if (v != nullptr) {
        v[i] = momentum * v[i] + gradient;
        step = gradient + momentum * v[i];
      }
      theta[i] -= lr * step;
      weights.set(i, theta[i]);
    });
  }

  // `numbers`: factors of the channels, then their offsets.
  template <class Queue>
  static void scale_channels(Queue& queue, Real* y, const Real* x, const W* numbers,
                             std::int64_t channels, std::int64_t rows) {
    queue.each(rows * channels, [=] REHEARSE_KERNEL(std::int64_t i) {
      const std::int64_t c = i % channels;
      y[i] = static_cast<Real>(static_cast<W>(x[i]) * numbers[c] + numbers[channels + c]);
    });
  }
};

}  // namespace rehearse::exec::cuda
