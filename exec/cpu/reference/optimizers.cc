#include <cmath>

#include "exec/cpu/reference/kernels.h"

// The formulas stand in model/plan/optimizer.h.
namespace rehearse::exec::reference {
namespace {

template <class Real>
void step_sgd(const Update& update, const Sgd& rule, Real* w, const Real* g, Real* v,
              std::int64_t n) {
  const auto lr = static_cast<Real>(update.lr), momentum = static_cast<Real>(rule.momentum);
  const auto decay = static_cast<Real>(update.decays ? update.optimizer.weight_decay : 0.0);
  if (rule.momentum == 0) {
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

template <class Real>
void step_adam(const Update& update, const Adam& rule, Real* w, const Real* g, Real* m, Real* v,
               std::int64_t n) {
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

}  // namespace

template <class Real>
void step(const Update& update, Real* weights, const Real* gradients, Real* first, Real* second,
          std::int64_t n) {
  if (const Sgd* sgd = std::get_if<Sgd>(&update.optimizer.rule))
    return step_sgd(update, *sgd, weights, gradients, first, n);
  step_adam(update, std::get<Adam>(update.optimizer.rule), weights, gradients, first, second, n);
}

template void step(const Update&, float*, const float*, float*, float*, std::int64_t);
template void step(const Update&, double*, const double*, double*, double*, std::int64_t);

}  // namespace rehearse::exec::reference
