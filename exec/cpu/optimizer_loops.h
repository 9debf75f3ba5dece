// The arithmetic of the optimizers (model/plan/optimizer.h has the formulas), element by element:
// one text for the plain loops and for those over vectors.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "exec/backend.h"
#include "model/base/bfloat16.h"

namespace rehearse::exec {

// Inlined into its caller, whose instruction set it is compiled for.
#define REHEARSE_INLINED [[gnu::always_inline]] inline

// Gradients that are clipped.
template <class Real, class Stored>
struct Scaled {
  const Stored* gradients;
  Real factor;
  Real operator[](std::int64_t i) const { return factor * gradients[i]; }
};

// g: gradients, or Scaled ones. v: the momentum; null without one.
template <class Real, class Gradients>
REHEARSE_INLINED void step_sgd(const Update& update, Real* w, Gradients g, Real* v,
                               std::int64_t n) {
  const auto lr = static_cast<Real>(update.lr);
  const auto momentum = static_cast<Real>(std::get<Sgd>(update.optimizer.rule).momentum);
  const auto decay = static_cast<Real>(update.decays ? update.optimizer.weight_decay : 0.0);
  if (v == nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      w[i] -= lr * (g[i] + decay * w[i]);
    return;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    v[i] = momentum * v[i] + g[i] + decay * w[i];
    w[i] -= lr * v[i];
  }
}

template <class Real, class Gradients>
REHEARSE_INLINED void step_adam(const Update& update, Real* w, Gradients g, Real* m, Real* v,
                                std::int64_t n) {
  const Adam& rule = std::get<Adam>(update.optimizer.rule);
  const auto t = static_cast<double>(update.step + 1);
  const double decay = update.decays ? update.optimizer.weight_decay : 0.0;
  const auto beta1 = static_cast<Real>(rule.beta1), beta2 = static_cast<Real>(rule.beta2);
  const auto new1 = static_cast<Real>(1 - rule.beta1), new2 = static_cast<Real>(1 - rule.beta2);
  // The bias corrections stand outside the loop: that of m in the rate, that of v in its root.
  const auto rate = static_cast<Real>(update.lr / (1 - std::pow(rule.beta1, t)));
  const auto unbias = static_cast<Real>(1 / std::sqrt(1 - std::pow(rule.beta2, t)));
  const auto epsilon = static_cast<Real>(rule.epsilon);
  const auto kept = static_cast<Real>(rule.decoupled ? 1 - update.lr * decay : 1.0);
  const auto added = static_cast<Real>(rule.decoupled ? 0.0 : decay);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const Real gradient = g[i] + added * w[i];
    m[i] = beta1 * m[i] + new1 * gradient;
    v[i] = beta2 * v[i] + new2 * gradient * gradient;
    w[i] = kept * w[i] - rate * (m[i] / (std::sqrt(v[i]) * unbias + epsilon));
  }
}

template <class Real, class Gradients>
REHEARSE_INLINED void step_rule(const Update& update, Real* w, Gradients g, Real* first,
                                Real* second, std::int64_t n) {
  if (std::holds_alternative<Adam>(update.optimizer.rule)) {
    step_adam(update, w, g, first, second, n);
  } else {
    step_sgd(update, w, g, first, n);
  }
}

template <class Real, class Stored>
REHEARSE_INLINED void step_clipped(const Update& update, Real* w, const Stored* g, Real* first,
                                   Real* second, std::int64_t n) {
  if (update.factor == 1) return step_rule(update, w, g, first, second, n);
  const Scaled<Real, Stored> scaled{g, static_cast<Real>(update.factor)};
  step_rule(update, w, scaled, first, second, n);
}

template <class Real>
REHEARSE_INLINED Real* statistics_at(void* state, std::int64_t begin) {
  return state == nullptr ? nullptr : static_cast<Real*>(state) + begin;
}

// One step of the update's rule for elements [begin, begin + n) of the weights, their gradients and
// the state. Weights with a master copy are rounded from it while it is in the cache.
template <class Real>
REHEARSE_INLINED void step_range(const Update& update, Real* weights, const Real* gradients,
                                 const OptimizerState& state, std::int64_t begin, std::int64_t n) {
  using Statistic = Wide<Real>;
  constexpr bool kHasMaster = !std::is_same_v<Real, Statistic>;
  constexpr std::int64_t kPiece = 4096;
  const std::int64_t end = begin + n;
  for (std::int64_t at = begin; at < end; at += kPiece) {
    const std::int64_t count = std::min(kPiece, end - at);
    Statistic* w;
    if constexpr (kHasMaster) {
      w = statistics_at<Statistic>(state.master, at);
    } else {
      w = weights + at;
    }
    step_clipped(update, w, gradients + at, statistics_at<Statistic>(state.moments[0], at),
                 statistics_at<Statistic>(state.moments[1], at), count);
    if constexpr (kHasMaster) {
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i)
        weights[at + i] = static_cast<Real>(w[i]);
    }
  }
}

// Of elements [begin, begin + n): what is to be averaged, from the weights before they are rounded.
template <class Real>
REHEARSE_INLINED void outer_gradient_range(const OuterPiece& piece, Real* gradients,
                                           std::int64_t begin, std::int64_t n) {
  using Statistic = Wide<Real>;
  const auto* weights = static_cast<const Real*>(piece.parameters) + begin;
  const auto* master = statistics_at<Statistic>(piece.master, begin);
  const auto* anchor = statistics_at<Statistic>(piece.anchor, begin);
  Real* const out = gradients + begin;
  if (anchor == nullptr) {
    std::copy_n(weights, n, out);
  } else if (master != nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      out[i] = static_cast<Real>(anchor[i] - master[i]);
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      out[i] = static_cast<Real>(anchor[i] - static_cast<Statistic>(weights[i]));
  }
}

// theta: the anchor. d: averages.
template <class Statistic, class Real>
REHEARSE_INLINED void step_nesterov(const OuterOptimizer& outer, Statistic* theta, Statistic* v,
                                    const Real* d, std::int64_t n) {
  const auto lr = static_cast<Statistic>(outer.lr);
  const auto momentum = static_cast<Statistic>(outer.momentum);
  if (v == nullptr) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      theta[i] -= lr * static_cast<Statistic>(d[i]);
    return;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const auto gradient = static_cast<Statistic>(d[i]);
    v[i] = momentum * v[i] + gradient;
    theta[i] -= lr * (gradient + momentum * v[i]);
  }
}

template <class Real>
REHEARSE_INLINED void outer_step_range(const std::optional<OuterOptimizer>& outer,
                                       const OuterPiece& piece, const Real* averages,
                                       std::int64_t begin, std::int64_t n) {
  using Statistic = Wide<Real>;
  auto* const weights = static_cast<Real*>(piece.parameters) + begin;
  if (!outer) {
    std::copy_n(averages + begin, n, weights);
    return;
  }
  auto* const theta = statistics_at<Statistic>(piece.anchor, begin);
  step_nesterov(*outer, theta, statistics_at<Statistic>(piece.momentum, begin), averages + begin,
                n);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    weights[i] = static_cast<Real>(theta[i]);
  if (piece.master != nullptr) std::copy_n(theta, n, statistics_at<Statistic>(piece.master, begin));
}

}  // namespace rehearse::exec
