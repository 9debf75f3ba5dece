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

// A part of the classes (model/net/layer.h), of which the first `real` are no padding.
struct ClassPart {
  std::int64_t classes, real, ways, number;
  explicit ClassPart(const CrossEntropy& loss)
      : classes(loss.classes),
        real(loss.real_classes()),
        ways(loss.part.ways),
        number(loss.part.number) {}
  REHEARSE_PORTABLE std::int64_t own(std::int64_t label) const { return label - number * classes; }

  // log sum exp over all parts, from a row's summed terms (loss_of_terms()).
  template <class W>
  REHEARSE_PORTABLE W whole_sum(const W* terms) const {
    W largest = terms[0], sum = 0;
    for (std::int64_t k = 1; k < ways; ++k)
      largest = terms[k] > largest ? terms[k] : largest;
    for (std::int64_t k = 0; k < ways; ++k)
      sum += std::exp(terms[k] - largest);
    return largest + std::log(sum);
  }
};

template <class Real>
struct Op<CrossEntropy, Real> {
  using W = Wide<Real>;

  template <class Queue>
  static void forward_part(const ClassPart& part, const Call<Real>& call, Queue& queue) {
    const Real* logits = call.input(0);
    const std::int32_t* labels = call.indices(1);
    W* const all = call.losses();
    constexpr W kOfNone = static_cast<W>(CrossEntropy::kOfNone);
    queue.rows(call.rows(0), [=] REHEARSE_KERNEL(std::int64_t row, typename Queue::Team & team) {
      const Real* x = logits + row * part.classes;
      const W sum = log_sum_exp<W>(x, part.real, team);
      if (team.rank() > 0) return;
      W* terms = all + row * (part.ways + 1);
      for (std::int64_t k = 0; k <= part.ways; ++k)
        terms[k] = 0;
      terms[part.number] = part.real == 0 ? kOfNone : sum;
      const std::int64_t label = part.own(labels[row]);
      if (label >= 0 && label < part.real) terms[part.ways] = static_cast<W>(x[label]);
    });
  }
  template <class Queue>
  static void backward_part(const ClassPart& part, const Call<Real>& call, Queue& queue) {
    const Real* logits = call.input(0);
    const std::int32_t* labels = call.indices(1);
    const W* all = call.losses();
    const LossScale<W> scale = loss_scale_of(call);
    Real* dx = call.input_gradient(0);
    queue.rows(call.rows(0), [=] REHEARSE_KERNEL(std::int64_t row, typename Queue::Team & team) {
      const W sum = part.whole_sum(all + row * (part.ways + 1));
      const std::int64_t label = part.own(labels[row]);
      for (std::int64_t i = team.rank(); i < part.classes; i += team.size()) {
        const std::int64_t at = row * part.classes + i;
        const W p = std::exp(static_cast<W>(logits[at]) - sum);
        const W slope = scale(row) * (p - (i == label ? W(1) : W(0)));
        dx[at] = static_cast<Real>(i < part.real ? slope : W(0));
      }
    });
  }

  template <class Queue>
  static void forward(const CrossEntropy& loss, const Call<Real>& call, Queue& queue) {
    if (!loss.part.is_whole()) return forward_part(ClassPart(loss), call, queue);
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
    if (!loss.part.is_whole()) return backward_part(ClassPart(loss), call, queue);
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
