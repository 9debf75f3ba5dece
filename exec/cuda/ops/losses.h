// Cross-entropy and squared error, a team to a row of logits; probabilities are never stored
// (formulas: exec/cpu/reference/loss.cc).
#pragma once

#include "exec/cuda/ops/op.h"

namespace rehearse::exec::cuda {

// What the loss of a row is multiplied by in backward.
template <class W>
struct LossScale {
  const W* gradient = nullptr;  // null: `all`
  W all = 1;
  REHEARSE_PORTABLE W operator()(std::int64_t row) const {
    return gradient == nullptr ? all : gradient[row];
  }
};
template <class Real>
LossScale<Wide<Real>> loss_scale_of(const Call<Real>& call) {
  return {call.loss_gradient(), static_cast<Wide<Real>>(call.arguments.loss_scale)};
}

// The largest of n numbers, and the sum of exp(x - largest), in one pass (Milakov and Gimelshein,
// arXiv 1805.02867): log sum exp.
template <class W, class Real, class Team>
REHEARSE_PORTABLE W log_sum_exp(const Real* x, std::int64_t n, Team& team) {
  W largest = -INFINITY, sum = 0;
  for (std::int64_t i = team.rank(); i < n; i += team.size()) {
    const W v = x[i];
    if (v == -INFINITY) continue;  // adds nothing
    if (v > largest) {
      sum = sum * std::exp(largest - v) + 1;
      largest = v;
    } else {
      sum += std::exp(v - largest);
    }
  }
  const W all = team.max(largest);
  // A thread without elements adds nothing; with none but NaNs, a NaN.
  const W own = largest == -INFINITY ? sum : sum * std::exp(largest - all);
  return all + std::log(team.sum(own));
}

template <class Real>
struct Op<CrossEntropy, Real> {
  using W = Wide<Real>;

  template <class Queue>
  static void forward(const CrossEntropy& loss, const Call<Real>& call, Queue& queue) {
    const std::int64_t n = loss.classes;
    const Real* logits = call.input(0);
    const std::int32_t* labels = call.indices(1);
    W *const kept = call.auxiliary(0), *const losses = call.losses();
    queue.rows(call.rows(0), [=] REHEARSE_KERNEL(std::int64_t row, typename Queue::Team & team) {
      const Real* x = logits + row * n;
      const W sum = log_sum_exp<W>(x, n, team);
      if (team.rank() > 0) return;
      kept[row] = sum;
      losses[row] = sum - static_cast<W>(x[labels[row]]);
    });
  }
  template <class Queue>
  static void backward(const CrossEntropy& loss, const Call<Real>& call, Queue& queue) {
    const std::int64_t n = loss.classes;
    const Real* logits = call.input(0);
    const std::int32_t* labels = call.indices(1);
    const W* kept = call.auxiliary(0);
    const LossScale<W> scale = loss_scale_of(call);
    Real* dx = call.input_gradient(0);
    queue.rows(call.rows(0), [=] REHEARSE_KERNEL(std::int64_t row, typename Queue::Team & team) {
      for (std::int64_t i = team.rank(); i < n; i += team.size()) {
        const W p = std::exp(static_cast<W>(logits[row * n + i]) - kept[row]);
        dx[row * n + i] = static_cast<Real>(scale(row) * (p - (i == labels[row] ? W(1) : W(0))));
      }
    });
  }
};

template <class Real>
struct Op<SquaredError, Real> {
  using W = Wide<Real>;

  template <class Queue>
  static void forward(const SquaredError& loss, const Call<Real>& call, Queue& queue) {
    const std::int64_t n = loss.classes;
    const Real* logits = call.input(0);
    const std::int32_t* labels = call.indices(1);
    W* const losses = call.losses();
    queue.rows(call.rows(0), [=] REHEARSE_KERNEL(std::int64_t row, typename Queue::Team & team) {
      W sum = 0;
      for (std::int64_t i = team.rank(); i < n; i += team.size()) {
        const W apart = static_cast<W>(logits[row * n + i]) - (i == labels[row] ? W(1) : W(0));
        sum += apart * apart;
      }
      sum = team.sum(sum);
      if (team.rank() == 0) losses[row] = sum / 2;
    });
  }
  template <class Queue>
  static void backward(const SquaredError& loss, const Call<Real>& call, Queue& queue) {
    const std::int64_t n = loss.classes;
    const Real* logits = call.input(0);
    const std::int32_t* labels = call.indices(1);
    const LossScale<W> scale = loss_scale_of(call);
    Real* dx = call.input_gradient(0);
    queue.each(call.rows(0) * n, [=] REHEARSE_KERNEL(std::int64_t i) {
      const W hit = i % n == labels[i / n] ? W(1) : W(0);
      dx[i] = static_cast<Real>(scale(i / n) * (static_cast<W>(logits[i]) - hit));
    });
  }
};

}  // namespace rehearse::exec::cuda
